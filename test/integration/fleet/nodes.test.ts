import { makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll } from 'vitest';
import { type Fleet, startFleet } from '../../harness/fleet.ts';
import { commandLine } from './command-line.suite.ts';
import { diskAndClockFaults } from './disk-and-clock.suite.ts';
import { separateMachines } from './machines.suite.ts';
import { securityFaults } from './security.suite.ts';

const CLOCK_OFFSET_MS = { n1: 7 * 60_000, n2: -7 * 60_000 };
const DISK_BYTES = 128 * 1024 * 1024;

let fleet: Fleet;
let image: string;

beforeAll(async () => {
  fleet = await startFleet({
    clockOffsetMs: (id) => CLOCK_OFFSET_MS[id as 'n1' | 'n2'],
    nodeDiskBytes: (id) => (id === 'n2' ? DISK_BYTES : undefined),
    nodeEnv: () => ({ LONGSHORE_HEARTBEAT_MS: '500', LONGSHORE_LOG_LEVEL: 'debug' }),
    // What is in no log must not be there at the wordiest either.
    env: { LONGSHORE_NODE_UNREACHABLE_AFTER_MS: '5000', LONGSHORE_LOG_LEVEL: 'debug' },
  });
  image = await fleet.push('test/busybox', '1', await makeBusyboxImage());
  await Promise.all(fleet.nodes.map(({ ctr }) => ctr.ok(['image', 'pull', '--plain-http', image])));
});
// Fails when anything is left.
afterAll(() => fleet?.close());

// One fleet for all: to start it costs more than most of them.
separateMachines(
  () => fleet,
  () => ({ clockOffsetMs: CLOCK_OFFSET_MS, diskBytes: DISK_BYTES, image }),
);
commandLine(
  () => fleet,
  () => image,
);
diskAndClockFaults(
  () => fleet,
  () => image,
);
securityFaults(
  () => fleet,
  () => image,
);
