import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagedProcess, toolchain } from '@longshore/local';
import { Ctr } from './ctr.ts';
import { waitUntil } from './wait-until.ts';

const READY_TIMEOUT_MS = 30_000;

export interface PeerContainerd extends AsyncDisposable {
  readonly socket: string;
  readonly pid: number;
  /** Where it answers Prometheus. */
  readonly metricsUrl: string;
  readonly ctr: Ctr;
}

export interface PeerOptions {
  /** What its root is made in; the system's directory of temporary files unless it is said. */
  directory?: string;
  /** False: it collects no garbage, which it would in all namespaces at once. */
  collects?: boolean;
}

/** Debian's containerd with private root, state and socket: the peer that longshore is compared with. */
export async function startContainerd({
  directory = tmpdir(),
  collects = true,
}: PeerOptions = {}): Promise<PeerContainerd> {
  await using undo = new AsyncDisposableStack();
  const { binaries, env } = await toolchain();
  const root = await mkdtemp(join(directory, 'longshore-peer-'));
  const state = `/run/longshore-peer-${randomBytes(4).toString('hex')}`;
  undo.defer(async () => {
    await rm(root, { recursive: true, force: true });
    await rm(state, { recursive: true, force: true });
  });
  await mkdir(state, { mode: 0o711 });
  const socket = join(state, 'containerd.sock');
  const config = join(root, 'config.toml');
  await writeFile(config, configuration(root, state, socket) + (collects ? '' : NO_COLLECTION));
  let output = '';
  const server = new ManagedProcess({
    name: 'containerd',
    command: binaries.containerd,
    args: ['--config', config],
    env: { ...env },
    logPath: join(root, 'containerd.log'),
    onOutput: (chunk) => {
      output += chunk;
    },
  });
  undo.use(server);
  const ctr = new Ctr(socket);
  await server.whenReady(
    () => waitUntil(async () => (await ctr.run(['version'])).code === 0, READY_TIMEOUT_MS),
    READY_TIMEOUT_MS,
  );
  // It says which port it got: only the metrics are on TCP.
  const metricsAddress = /address="?(127\.0\.0\.1:\d+)/.exec(output)?.[1];
  if (!metricsAddress) throw new Error(`containerd does not say where its metrics are:\n${output}`);
  const metricsUrl = `http://${metricsAddress}/v1/metrics`;
  const owned = undo.move();
  return { socket, pid: server.pid, metricsUrl, ctr, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Without the CRI plugin, which wants CNI and has no part in what is compared. */
const NO_COLLECTION = `
[plugins."io.containerd.gc.v1.scheduler"]
deletion_threshold = 0
mutation_threshold = 1000000
startup_delay = "24h"
`;

function configuration(root: string, state: string, socket: string): string {
  return `version = 2
root = ${JSON.stringify(join(root, 'root'))}
state = ${JSON.stringify(join(state, 'state'))}
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]

[grpc]
address = ${JSON.stringify(socket)}

[metrics]
address = "127.0.0.1:0"
`;
}
