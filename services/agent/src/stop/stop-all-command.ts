import { parseArgs } from 'node:util';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument, isKind, messageOf } from '@longshore/errors';
import { loadConfig, readConfigFile } from '@longshore/kit';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import { Channel, createClient } from '@longshore/rpc';
import { keys } from '../config.ts';

const HELP = `longshore agent stop-all: stops all containers of this node, e.g. before the host shuts down

Usage: node services/agent/src/main.ts stop-all [--grace 30s] [--config FILE.toml]

Asks the running agent, over the node socket. Each container gets its stop signal and, after the grace time, SIGKILL. Its
exit is recorded as it was. What has a restart policy stays stopped until the agent starts anew. Containers and stopped tasks
are not deleted.

  --grace TIME   how long containers may take to end by themselves: 500ms, 30s (the default), 2m

LONGSHORE_SOCKET and LONGSHORE_STATE mean what they mean to the agent.
`;

/** Beyond the grace time, for signals to be sent and killed containers to end. */
const MARGIN_MS = 60_000;

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `stop-all …`: answers one line on standard output; sets the exit code, 1 when something still runs. */
export async function runStopAllCommand(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    await run(args, env);
  } catch (error) {
    process.stderr.write(`longshore agent stop-all: ${messageOf(error)}\nTry stop-all --help.\n`);
    process.exitCode = isKind(error, 'InvalidArgument') ? 2 : 1;
  }
}

async function run(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const { help, grace, config: file } = parseOptions(args);
  if (help) return void process.stdout.write(HELP);
  const graceMs = parseDurationMs(grace);
  const { socket } = loadConfig(keys, env, await readConfigFile(file));
  const channel = new Channel(`unix://${socket}`);
  try {
    const deadline = new Date(Date.now() + graceMs + MARGIN_MS);
    const client = createClient(TaskService, channel);
    const { stopped, killed, failed } = await client.stopAll(
      { grace: durationFromMs(graceMs) },
      { deadline },
    );
    process.stdout.write(`stopped ${stopped} containers, ${killed} of them by SIGKILL\n`);
    for (const line of failed) process.stderr.write(`still running: ${line}\n`);
    if (failed.length > 0) process.exitCode = 1;
  } finally {
    channel.close();
  }
}

function parseOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h' },
        grace: { type: 'string', default: '30s' },
        config: { type: 'string', short: 'c' },
      },
    });
    return values;
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
}

function parseDurationMs(text: string): number {
  const [, number, unit = ''] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  if (number === undefined) throw invalidArgument(`--grace: ${JSON.stringify(text)} is no time such as 30s`);
  return Number(number) * UNITS_MS[unit]!;
}
