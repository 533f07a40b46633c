import type { Peer } from '@longshore/transport';

const CALLERS: ReadonlySet<Peer['kind']> = new Set(['local', 'user', 'service']);

/**
 * Whether the edge answers this caller at all: it is for people and for what they run, who show the certificate of a
 * user or of a service, or are on the unix socket. Nodes have their own ways in.
 */
export function isCaller({ kind }: Peer): boolean {
  return CALLERS.has(kind);
}
