import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Says of which node, of which fleet, a copy is: a fleet is known by its certificate authority, if it has one. */
export function copyOwner(nodeId: string, tlsCa: string): string {
  const fleet = tlsCa === '' ? '' : createHash('sha256').update(readFileSync(tlsCa)).digest('hex');
  return `${nodeId} ${fleet}`;
}
