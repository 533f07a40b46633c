import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Names one process among all that ever serve the same database. */
export interface Instance {
  readonly name: string;
  /**
   * What the names of earlier processes of this very instance begin with, once this one listens on its address. Undefined
   * when that cannot be told: an address with port 0 is not an instance's own.
   */
  readonly predecessors: string | undefined;
}

/**
 * The host's name and the address are not enough: replicas in containers may share both, but not the kernel namespace in
 * which the address is one of a kind.
 */
export function instanceOf(listen: string): Instance {
  const isUnix = listen.startsWith('unix:');
  const prefix = `${hostname()} ${kernelNamespace(isUnix ? 'mnt' : 'net')} ${listen}#`;
  return {
    name: prefix + randomUUID(),
    predecessors: !isUnix && listen.endsWith(':0') ? undefined : prefix,
  };
}

/** e.g. `net:[4026531840]` */
function kernelNamespace(kind: 'mnt' | 'net'): string {
  return readlinkSync(`/proc/self/ns/${kind}`);
}
