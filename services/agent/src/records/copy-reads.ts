import type { Keeper, RecordKind } from './record-kinds.ts';

/** A record that is there. */
export interface CopiedRecord {
  namespace: string;
  key: string;
  /** The message of the record's kind, as `longshore.watch.v1.Record` says. */
  value: Uint8Array;
  deleting: boolean;
}

export interface RecordPage {
  records: CopiedRecord[];
  /** The key behind which the next page begins; undefined at the end. */
  next: string | undefined;
}

/** Answers questions about the records of a node; `stale` when only the control plane knows the answer. */
export interface CopyReads {
  /** Whether the keeper's records may be answered at all. */
  isComplete(keeper: Keeper): boolean;
  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined;
  /** In byte order of the keys, those that begin with `prefix`. */
  list(kind: RecordKind, namespace: string, prefix?: string): CopiedRecord[] | 'stale';
  /** {@link list} in pieces, for lists that are long: between two of them others have their turn, and records may change. */
  page(kind: RecordKind, namespace: string, after: string): RecordPage | 'stale';
  /** Namespaces in which there is any record, in byte order. */
  namespaces(): string[];
  /** What is to be answered when nobody can be asked. */
  readonly lastKnown: CopyReads;
}
