import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isKind, messageOf } from '@longshore/errors';
import { FLEET_HELP, type FleetProgramOptions, parseFleetOptions } from '../bootstrap/fleet-options.mjs';
import { makeBusyboxImage } from './busybox-image.ts';
import { Ctr } from './ctr.ts';
import { endTasks } from './end-tasks.ts';
import { describeFleet } from './fleet/describe-fleet.ts';
import { type Fleet, startFleet } from './fleet/fleet.ts';
import { takePidFile } from './pid-file.ts';
import { pushImage } from './push-image.ts';
import { toolchain } from './toolchain.ts';

/** The program behind `npm run fleet`; `bootstrap.mjs` has seen to everything that it needs. */
async function main(): Promise<number> {
  const options = parseFleetOptions(process.argv.slice(2));
  if (options.help) {
    say(FLEET_HELP);
    return 0;
  }
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
  try {
    await run(options, stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    process.stderr.write(`longshore: ${messageOf(error)}\n`);
    if (isKind(error, 'Unknown') && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

async function run(options: FleetProgramOptions, stop: AbortSignal): Promise<void> {
  const startMs = performance.now();
  await using resources = new AsyncDisposableStack();
  for (const dir of [options.root, options.state].map((path) => resolve(path))) {
    await mkdir(dir, { recursive: true, mode: 0o711 });
    resources.use(takePidFile(join(dir, 'fleet.pid')));
  }
  const fleet = resources.use(await startFleet({ ...options, report: say, signal: stop }));
  resources.defer(() => endAllTasks(fleet));
  const image = await serveImage(fleet);
  say(`the fleet is ready after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  say(describeFleet(fleet, image, (await toolchain()).binaries.ctr));
  // The processes that we look after keep us alive meanwhile.
  await new Promise((ended) => stop.addEventListener('abort', ended, { once: true }));
  say('ending everything');
}

/** Puts an image where every node reaches it: nodes have no way to the internet. Answers its reference. */
async function serveImage(fleet: Fleet): Promise<string> {
  const door = fleet.outside.address('registry');
  const ref = await pushImage(door, 'busybox', 'latest', await makeBusyboxImage());
  return ref.replace(door, fleet.registry.host);
}

async function endAllTasks({ nodes }: Fleet): Promise<void> {
  const tools = await toolchain();
  await Promise.all(nodes.map((node) => endTasks(new Ctr(tools, node.layout.socket), say)));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

// Whoever read our output may be gone, as npm is when it was killed: that must not keep us from ending in order.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main();
