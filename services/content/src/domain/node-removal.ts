import type { Scope } from '@longshore/kit';
import type { Candidate, CandidateReference, Removed } from './collection.ts';
import { removalOrder } from './removal-order.ts';

/** Records removed in one transaction: few enough for it to take well under a second. */
const BATCH_SIZE = 500;
/** What a node had begun when it was removed may still arrive. */
const MAX_ROUNDS = 5;

export interface NodeRecords {
  /** Scopes of the node in which any service has a record that can be removed. */
  scopes(node: string): Promise<Scope[]>;
  /** All of them, of all services. */
  records(scope: Scope): Promise<Candidate[]>;
  references(scope: Scope, records: readonly Candidate[]): Promise<CandidateReference[]>;
  /** Removes records, whatever refers to them. */
  remove(scope: Scope, batch: readonly Candidate[]): Promise<Removed[]>;
  /** Removes the node's namespaces, once they are empty, and what collections remember of them. */
  removeNamespaces(node: string): Promise<void>;
}

/**
 * Removes what the collector can remove, of all services, of a node that is no longer in the fleet: leases first, then whatever
 * refers before what it refers to. Repeating it is safe. Containers and sandboxes are for their owner to remove before.
 */
export async function forgetNode(
  node: string,
  records: NodeRecords,
  onRemoved: (removed: readonly Removed[]) => void,
): Promise<void> {
  for (let round = 1; round <= MAX_ROUNDS; round++) {
    const scopes = await records.scopes(node);
    if (scopes.length === 0) break;
    for (const scope of scopes) await forgetScope(scope, records, onRemoved);
  }
  await records.removeNamespaces(node);
}

async function forgetScope(
  scope: Scope,
  records: NodeRecords,
  onRemoved: (removed: readonly Removed[]) => void,
): Promise<void> {
  const all = await records.records(scope);
  const [leases, others] = [all.filter(isLease), all.filter((record) => !isLease(record))];
  const ordered = [...leases, ...(await removalOrder(others, await records.references(scope, others)))];
  for (let start = 0; start < ordered.length; start += BATCH_SIZE) {
    onRemoved(await records.remove(scope, ordered.slice(start, start + BATCH_SIZE)));
  }
}

function isLease({ kind }: Candidate): boolean {
  return kind === 'lease';
}
