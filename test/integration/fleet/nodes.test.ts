import { makeBusyboxImage } from '@longshore/local';
import { afterAll, beforeAll } from 'vitest';
import { type Fleet, startFleet } from '../../harness/fleet.ts';
import { diskAndClockFaults } from './disk-and-clock.suite.ts';
import { securityFaults } from './security.suite.ts';

const CLOCK_OFFSET_MS = 7 * 60_000;
const DISK_BYTES = 128 * 1024 * 1024;

let fleet: Fleet;
let image: string;

beforeAll(async () => {
  fleet = await startFleet({
    clockOffsetMs: (id) => (id === 'n1' ? CLOCK_OFFSET_MS : -CLOCK_OFFSET_MS),
    nodeDiskBytes: (id) => (id === 'n2' ? DISK_BYTES : undefined),
    nodeEnv: () => ({ LONGSHORE_HEARTBEAT_MS: '500', LONGSHORE_LOG_LEVEL: 'debug' }),
    // What is in no log must not be there at the wordiest either.
    env: { LONGSHORE_NODE_UNREACHABLE_AFTER_MS: '5000', LONGSHORE_LOG_LEVEL: 'debug' },
  });
  image = await fleet.push('test/busybox', '1', await makeBusyboxImage());
  for (const { ctr } of fleet.nodes) await ctr.ok(['image', 'pull', '--plain-http', image]);
});
// Fails when anything is left.
afterAll(() => fleet?.close());

// One fleet for all: to start it costs more than most of them.
diskAndClockFaults(
  () => fleet,
  () => image,
);
securityFaults(
  () => fleet,
  () => image,
);
