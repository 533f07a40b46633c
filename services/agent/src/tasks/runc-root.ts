import { join } from 'node:path';
import type { BundleDirectories } from './bundle.ts';

/** Where runc, and what takes its place, keeps its state of this node's containers: `<namespace>/<id>` below it. */
export function runcRoot({ stateDir }: BundleDirectories): string {
  return join(stateDir, 'runc');
}
