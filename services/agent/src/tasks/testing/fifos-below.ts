import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Fifos at any depth below a directory; not those in containers' root file systems, which are images' to have. */
export function fifosBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isFIFO()) return [path];
    return entry.isDirectory() && entry.name !== 'rootfs' ? fifosBelow(path) : [];
  });
}
