import type { Filter } from '@longshore/filters';
import type { ListPart } from '@longshore/kit';
import type { Keeper, RecordKind } from './record-kinds.ts';

/** A record that is there. */
export interface CopiedRecord {
  namespace: string;
  key: string;
  /** The message of the record's kind, as `longshore.watch.v1.Record` says. */
  value: Uint8Array;
  deleting: boolean;
}

/** Answers questions about the records of a node; `stale` when only the control plane knows the answer. */
export interface CopyReads {
  /** Whether the keeper's records may be answered at all. */
  isComplete(keeper: Keeper): boolean;
  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined;
  /** In byte order of the keys, those that begin with `prefix`; of what is behind it, `part`. */
  list(kind: RecordKind, namespace: string, prefix?: string, part?: ListPart): CopiedRecord[] | 'stale';
  /**
   * At least the records that the filter matches, from the key `from` on, page by page in byte order of the keys. What changes before the last page
   * was read may be among them or not.
   */
  select(
    kind: RecordKind,
    namespace: string,
    filter: Filter,
    from?: string,
  ): AsyncIterable<CopiedRecord[]> | 'stale';
  /** Namespaces in which there is any record, in byte order. */
  namespaces(): string[];
  /** What is to be answered when nobody can be asked. */
  readonly lastKnown: CopyReads;
}
