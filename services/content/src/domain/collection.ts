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

/**
 * What no root leads to, or only a flat lease, so that it keeps nothing by its labels: whatever comes to refer to it keeps it and
 * what it refers to.
 */
export interface OpenNode {
  /** Stands for its kind and key. Two names may share one: then both are kept when one has to be. */
  readonly id: bigint;
  /** Undefined for what the collector does not remove, and for the name of a record that is not there. */
  readonly candidate: Candidate | undefined;
  /** Open nodes, by their places in the mark. */
  readonly refersTo: readonly number[];
}

/** How much there was of a kind of record, as its schema's views showed it. */
export interface KindCount {
  readonly schema: string;
  readonly kind: string;
  readonly objects: number;
  /** From them, by fields. */
  readonly references: number;
}

/** What a collection saw of a scope. */
export interface Census {
  readonly snapshot: string;
  readonly at: Date;
  readonly seen: readonly KindCount[];
}

export interface Mark {
  /** What was committed when the mark was made; later changes are looked at again before anything is removed. */
  readonly snapshot: string;
  readonly open: readonly OpenNode[];
  /** Those of the open nodes. */
  readonly candidates: readonly Candidate[];
  /** How many records could have been candidates. */
  readonly collectable: number;
  readonly seen: readonly KindCount[];
  /** Kinds of record that fields refer to. */
  readonly referred: readonly string[];
  /** Of the last collection that found nothing wrong; undefined for a scope that has had none. */
  readonly before: Census | undefined;
  /** Records that must be roots and are none: then nothing else was looked at. */
  readonly unrooted: readonly Candidate[];
  /** Whether anything is remembered that the next census makes superfluous. */
  readonly hasLeftovers: boolean;
}

/** What changed since a snapshot, up to another. */
export interface Changes {
  readonly ids: readonly bigint[];
  readonly snapshot: string;
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

export interface Swept {
  readonly removed: readonly Removed[];
  /** What was looked at: the next batch goes on from here. */
  readonly snapshot: string;
  /** How long the scope was locked, in milliseconds. */
  readonly heldMs: number;
}

/** What a collection needs of the records of all services. */
export interface CollectionRecords {
  /** Forced: also where records are not roots that must be. */
  mark(scope: Scope, options?: { force?: boolean | undefined }): Promise<Mark>;
  /** What changed in the scope and is committed. Throws Unavailable when it is too much. */
  changes(scope: Scope, since: string): Promise<Changes>;
  /**
   * Removes, in one transaction and within the term if led, those of a batch that `choose` leaves, given what changed in the
   * scope since the snapshot; nobody changes it meanwhile. Throws Unavailable when the scope cannot be locked for long.
   */
  sweep(
    scope: Scope,
    since: string,
    choose: (changed: readonly bigint[]) => readonly Candidate[],
    term?: LedTerm,
  ): Promise<Swept>;
}

/** What collections remember of a scope. */
export interface CollectionMemory {
  /**
   * How many records of the kinds were deleted since a snapshot, as their services have logged it: kinds without any are left out;
   * infinity where the log does not reach back so far.
   */
  deletions(scope: Scope, since: string, counts: readonly KindCount[]): Promise<Map<string, number>>;
  /** How many records of a kind there are that changed since a snapshot. */
  changed(scope: Scope, since: string, count: KindCount): Promise<number>;
  /** Remembers what the mark saw, and that nothing unreached is left. */
  remember(scope: Scope, mark: Mark): Promise<void>;
  /** Remembers since when the mark's candidates are known to be unreached; they stay for now. */
  rememberUnreached(scope: Scope, mark: Mark): Promise<void>;
}
