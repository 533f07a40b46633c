import type { Scope } from '@longshore/kit';
import type { LedTerm } from './led-term.ts';

/** A record that nothing refers to. */
export interface Candidate {
  /** The schema that has it. */
  readonly schema: string;
  readonly kind: string;
  readonly key: string;
  readonly uid: string;
}

/** A reference between two candidates. */
export interface CandidateReference {
  readonly from: Candidate;
  readonly to: Candidate;
}

export interface Mark {
  /** What was committed when the mark was made; later changes are looked at again before anything is removed. */
  readonly snapshot: string;
  readonly candidates: readonly Candidate[];
  /** How many records could have been candidates. */
  readonly collectable: number;
}

/** The event that a removal caused; it is in its schema's outbox already. */
export interface RemovalEvent {
  readonly namespace: string;
  readonly topic: string;
  readonly typeUrl: string;
  readonly payload: Uint8Array;
}

export interface Removed {
  readonly kind: string;
  readonly key: string;
  readonly event: RemovalEvent | undefined;
}

/** What a collection needs of the records of all services. */
export interface CollectionRecords {
  mark(scope: Scope): Promise<Mark>;
  references(scope: Scope, candidates: readonly Candidate[]): Promise<CandidateReference[]>;
  /** Removes those that nothing has come to refer to since the mark, in one transaction, and within the term if led. */
  sweep(scope: Scope, mark: Mark, batch: readonly Candidate[], term?: LedTerm): Promise<Removed[]>;
}
