import { readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ManagedProcess } from '@longshore/local';
import { printBar } from './bar.ts';
import { fillContainers } from './http-list/fill-containers.ts';
import { labelOf } from './scale/container-record.ts';
import { type ControlPlane, startControlPlane } from './scale/control-plane.ts';
import { printMachine } from './scale/costs.ts';
import { formatLatency, latencyOf, WARM_UP_CALLS } from './scale/latency.ts';
import { usageOf } from './scale/usage.ts';

export interface HttpListOptions {
  containers: number;
  nodes: number;
  calls: number;
}

const AGENTS = fileURLToPath(new URL('./http-list/agents-main.ts', import.meta.url));
const PAGE = 100;
const BAR_MS = 50;

/** Prints how long pages of the HTTP API take among many containers of many nodes. */
export async function benchHttpList({ containers, nodes, calls }: HttpListOptions): Promise<void> {
  await using plane = await startControlPlane();
  await using agents = await startAgents(plane, nodes);
  void agents;
  await fillContainers(plane.databaseUrl, containers, nodes);
  printMachine();
  console.log(`GET /v1/containers of ${PAGE} among ${containers} on ${nodes} nodes, ${calls} calls each:`);
  const client = new HttpClient(plane);
  const rare = `limit=${PAGE}&filter=labels.app==${labelOf(7)}`;
  const common = `limit=${PAGE}&filter=labels.tier==web`;
  const middle = await client.cursorAt(containers / 2);
  for (const [what, query] of [
    ['few have the label', rare],
    ['many have the label', common],
    ['without a filter, from the middle', `limit=${PAGE}&cursor=${middle}`],
    [`few have the label, and ${PAGE} nodes are asked for the states of tasks`, `${rare}&status=true`],
  ] as const) {
    const first = await client.page(query);
    if (first.items.length !== PAGE) throw new Error(`${what}: ${first.items.length} items`);
    const before = cpuSeconds(plane);
    const latency = await latencyOf(calls, () => client.page(query));
    const cpuMs = ((cpuSeconds(plane) - before) * 1000) / (calls + WARM_UP_CALLS);
    const cost = `${cpuMs.toFixed(1)} ms CPU of gateway, runtime and Postgres each`;
    printBar(what, `${formatLatency(latency)}; ${cost}`, latency.p99 <= BAR_MS);
  }
  client.close();
}

function cpuSeconds(plane: ControlPlane): number {
  const { gateway, runtime, postgres } = plane.pids();
  return [gateway!, runtime!, postgres!].reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
}

async function startAgents(plane: ControlPlane, nodes: number): Promise<AsyncDisposable> {
  const agents = new ManagedProcess({
    name: 'agents',
    command: process.execPath,
    args: [AGENTS, plane.state, String(nodes)],
    env: process.env,
    logPath: join(plane.state, 'logs/agents.log'),
    withChannel: true,
  });
  const ended = agents.exited.then(() => {
    throw new Error('the agents have ended');
  });
  await Promise.race([new Promise((resolve) => agents.child.once('message', resolve)), ended]);
  return agents;
}

interface Page {
  items: object[];
  next_cursor: string | null;
}

/** Of one connection that stays. */
class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;
  readonly #token: string;

  constructor(plane: ControlPlane) {
    this.#url = plane.httpUrl;
    this.#token = readFileSync(plane.tokenFile, 'utf8').trim();
  }

  page(query: string): Promise<Page> {
    const { promise, resolve, reject } = Promise.withResolvers<Page>();
    const url = `${this.#url}/v1/containers?${query}`;
    const headers = { authorization: `Bearer ${this.#token}` };
    get(url, { agent: this.#agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${response.statusCode}: ${text}`));
      });
    }).on('error', reject);
    return promise;
  }

  /** Behind so many containers. */
  async cursorAt(position: number): Promise<string> {
    let cursor = '';
    for (let seen = 0; seen < position; seen += 1000) {
      const more = cursor && `&cursor=${cursor}`;
      cursor = (await this.page(`limit=1000${more}`)).next_cursor ?? '';
    }
    return cursor;
  }

  close(): void {
    this.#agent.destroy();
  }
}
