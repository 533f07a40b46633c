import { readFileSync, rmSync } from 'node:fs';
import { removeCgroup } from './cgroup-sweep.ts';
import type { GuardOrder } from './guard.ts';
import { mountsBelow, unmount } from './mount-sweep.ts';
import { listProcesses, type ProcessInfo, processInfo, wasStartedWith } from './proc-table.ts';
import { endContainers, endProcesses, isShim } from './sweep.ts';

/** The program that a guardian becomes once its owner is gone. Reads all its orders from stdin, then carries them out. */
const orders = readFileSync(0, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line): GuardOrder => JSON.parse(line));

const trees = orders.filter((order) => 'tree' in order);

await endProcesses(ownedProcesses());
await endContainers(trees.map(({ tree }) => tree));
for (const order of orders) {
  if ('cgroup' in order) await removeCgroup(order.cgroup);
}
for (const { tree, keep } of trees) {
  await unmount(mountsBelow(tree).filter(({ path }) => !keep.includes(path)));
}
for (const order of orders) {
  // Never into a mount: that would empty what is mounted there.
  if (!('remove' in order) || mountsBelow(order.remove).length > 0) continue;
  rmSync(order.remove, { recursive: true, force: true });
}

/** Shims come later: until the agent is gone, it may look after them. */
function ownedProcesses(): ProcessInfo[] {
  const marked = listProcesses().filter((info) => !isShim(info) && orders.some((order) => owns(order, info)));
  return marked.filter((info) => info.pid !== process.pid);
}

function owns(order: GuardOrder, info: ProcessInfo): boolean {
  if ('marker' in order) return wasStartedWith(info.pid, order.marker);
  if ('pid' in order) return order.pid === info.pid && processInfo(info.pid)?.startTime === order.startTime;
  return false;
}
