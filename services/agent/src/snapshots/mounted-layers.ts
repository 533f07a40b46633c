import { readFileSync } from 'node:fs';

/**
 * Which layers were in use by a mount at the time of the call, as any layer of an overlay or as the source of a bind
 * mount. Generations are random, so finding one anywhere in the mount table tells, however the paths are written:
 * shims give lower directories relative to a common parent.
 */
export function readMountedLayers(): (generation: string) => boolean {
  const table = readFileSync('/proc/self/mountinfo', 'latin1');
  return (generation) => table.includes(generation);
}
