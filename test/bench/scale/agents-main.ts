import { atOnce } from './at-once.ts';
import { latencyIn } from './latency.ts';
import { type Diary, SimulatedAgent } from './simulated-agent.ts';

/**
 * The load generator: many agents in one process. Its parent asks by IPC, one thing at a time, for more of them and for
 * what they did; when the parent ends, so does it. Argument: the directory of the services' sockets.
 */
const [state = ''] = process.argv.slice(2);
const diary: Diary = { heartbeatsMs: [], failures: [] };
const agents: SimulatedAgent[] = [];

const STARTS_AT_ONCE = 16;
const SPREAD_MS = 10_000;

export interface Question {
  /** Starts agents `n1` to `n<agents>`, those that there are not yet. */
  agents: number;
}

process.on('disconnect', () => process.exit());
process.on('message', async ({ agents: wanted }: Question) => {
  const missing = Array.from({ length: wanted - agents.length }, (_, i) => agents.length + i);
  try {
    await atOnce(STARTS_AT_ONCE, missing, async (index) => {
      const agent = new SimulatedAgent(`n${index + 1}`, state, diary);
      agents[index] = agent;
      await agent.start((SPREAD_MS * (index % 250)) / 250);
    });
  } catch (error) {
    diary.failures.push(String(error));
  }
  process.send?.(answer());
});

function answer() {
  const heartbeatsMs = diary.heartbeatsMs.splice(0);
  return {
    containers: agents.reduce((total, agent) => total + agent.containers, 0),
    heartbeats: heartbeatsMs.length,
    latency: latencyIn(heartbeatsMs),
    failures: diary.failures.splice(0),
  };
}

export type Answer = ReturnType<typeof answer>;
