import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Authority, ManagedProcess, toolchain } from '@longshore/local';
import { residentMegabytes } from '../harness/resident-memory.ts';
import { printBar } from './bar.ts';
import { type ControlPlane, startControlPlane } from './scale/control-plane.ts';
import { printMachine } from './scale/costs.ts';
import { formatLatency, type Latency, latencyIn } from './scale/latency.ts';

export interface ConnectionsOptions {
  idle: number;
  seconds: number;
}

const IDLE = fileURLToPath(new URL('./connections/idle-main.ts', import.meta.url));
const BUSY = 200;
/** Between the calls of one busy connection: together they ask for some 400 in a second. */
const PAUSE_MS = 500;
const WARM_UP_MS = 5_000;
const BAR_MEGABYTES = 400;
const BAR_RATIO = 2;

/** Prints what idle connections cost the gateway, and those who are busy beside them. */
export async function benchConnections({ idle, seconds }: ConnectionsOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'longshore-connections-'));
  try {
    const authority = new Authority(directory, join(directory, 'authority'), await toolchain());
    await authority.issue('service', ['gateway']);
    const { tlsCert, tlsKey, tlsCa } = authority.service('gateway');
    await using plane = await startControlPlane({
      LONGSHORE_GATEWAY_LISTEN: '127.0.0.1:0',
      LONGSHORE_TLS_CERT: tlsCert,
      LONGSHORE_TLS_KEY: tlsKey,
      LONGSHORE_TLS_CA: tlsCa,
    });
    await measure(plane, tlsCa, { idle, seconds });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function measure(
  plane: ControlPlane,
  ca: string,
  { idle, seconds }: ConnectionsOptions,
): Promise<void> {
  const address = plane.address('gateway');
  const callers = Array.from({ length: BUSY }, () => new Caller(address, ca, plane.tokenFile));
  const gatewayMegabytes = () => residentMegabytes(plane.pids().gateway!);
  printMachine();
  await latencyOf(callers, WARM_UP_MS);
  const alone = await latencyOf(callers, seconds * 1000);
  console.log(
    `${BUSY} busy connections: ${formatLatency(alone)}; gateway ${gatewayMegabytes().toFixed(0)} MB`,
  );
  await using holder = await holdIdle(address, ca, idle);
  void holder;
  await latencyOf(callers, WARM_UP_MS);
  const beside = await latencyOf(callers, seconds * 1000);
  console.log(`${BUSY} beside ${idle} idle ones: ${formatLatency(beside)}`);
  const megabytes = gatewayMegabytes();
  printBar(`gateway, at most ${BAR_MEGABYTES} MB`, `${megabytes.toFixed(0)} MB`, megabytes <= BAR_MEGABYTES);
  const ratio = beside.p99 / alone.p99;
  printBar(`p99 beside the idle ones, at most ${BAR_RATIO} times`, ratio.toFixed(2), ratio <= BAR_RATIO);
  for (const caller of callers) caller.close();
}

/** Idle connections in a process of their own, with TLS and one call each behind them. */
async function holdIdle(address: string, ca: string, count: number): Promise<AsyncDisposable> {
  const directory = mkdtempSync(join(tmpdir(), 'longshore-idle-'));
  const holder = new ManagedProcess({
    name: 'idle',
    command: process.execPath,
    args: [IDLE, address, ca, String(count)],
    env: process.env,
    logPath: join(directory, 'idle.log'),
    withChannel: true,
  });
  const ended = holder.exited.then(() => {
    throw new Error(
      `idle connections: their process has ended: ${readFileSync(join(directory, 'idle.log'), 'utf8')}`,
    );
  });
  await Promise.race([new Promise((resolve) => holder.child.once('message', resolve)), ended]);
  ended.catch(() => undefined);
  return holder;
}

/** All of them call for a time, each with pauses of its own. */
async function latencyOf(callers: readonly Caller[], ms: number): Promise<Latency> {
  const until = performance.now() + ms;
  const samples: number[] = [];
  const work = async (caller: Caller, n: number) => {
    await delay((PAUSE_MS * n) / callers.length);
    while (performance.now() < until) {
      const started = performance.now();
      await caller.call();
      samples.push(performance.now() - started);
      await delay(PAUSE_MS);
    }
  };
  await Promise.all(callers.map(work));
  return latencyIn(samples);
}

/** One connection, which lists images. */
class Caller {
  readonly #session: ClientHttp2Session;
  readonly #headers: OutgoingHttpHeaders;

  constructor(address: string, ca: string, tokenFile: string) {
    this.#session = connect(`https://${address}`, {
      ca: readFileSync(ca),
      checkServerIdentity: () => undefined,
    });
    this.#headers = {
      ':method': 'POST',
      ':path': '/containerd.services.images.v1.Images/List',
      'content-type': 'application/grpc',
      te: 'trailers',
      'containerd-namespace': 'default',
      authorization: `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`,
    };
  }

  call(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request(this.#headers);
      const see = (found: Record<string, unknown>) => {
        if (found['grpc-status'] === undefined) return;
        if (found['grpc-status'] === '0') resolve();
        else reject(new Error(`status ${found['grpc-status']}: ${found['grpc-message']}`));
      };
      stream.on('response', see).on('trailers', see).on('error', reject);
      stream.on('close', () => reject(new Error('the call was cut')));
      stream.resume();
      // An empty message.
      stream.end(Buffer.alloc(5));
    });
  }

  close(): void {
    this.#session.destroy();
  }
}
