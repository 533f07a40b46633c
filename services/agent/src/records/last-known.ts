import type { Filter } from '@longshore/filters';
import { WHOLE_LIST } from '@longshore/kit';
import type { CopiedRecord, CopyReads } from './copy-reads.ts';
import type { Keeper, RecordKind } from './record-kinds.ts';
import type { RecordTable, StoredRecord } from './record-table.ts';

/**
 * What a copy last heard of its keepers, however old, for when they cannot be asked. Nothing, until their records were all
 * here once. A record of which no value ever was is `stale`, and not in lists.
 */
export class LastKnown implements CopyReads {
  readonly #records: RecordTable;
  readonly #wasComplete: (keeper: Keeper) => boolean;

  constructor(records: RecordTable, wasComplete: (keeper: Keeper) => boolean) {
    this.#records = records;
    this.#wasComplete = wasComplete;
  }

  get lastKnown(): CopyReads {
    return this;
  }

  isComplete(keeper: Keeper): boolean {
    return this.#wasComplete(keeper);
  }

  get(kind: RecordKind, namespace: string, key: string): CopiedRecord | 'stale' | undefined {
    const record = this.#records.get(kind, namespace, key);
    return record && !hasValue(record) ? 'stale' : record;
  }

  list(kind: RecordKind, namespace: string, prefix = '', { from, limit } = WHOLE_LIST): CopiedRecord[] {
    return this.#records.list(kind, namespace, prefix, from).filter(hasValue).take(limit).toArray();
  }

  async *select(
    kind: RecordKind,
    namespace: string,
    filter: Filter,
    from = '',
  ): AsyncGenerator<CopiedRecord[]> {
    for (const records of this.#records.select(kind, namespace, filter, from)) yield records.filter(hasValue);
  }

  namespaces(): string[] {
    return this.#records.namespaces();
  }
}

function hasValue({ isStale, value }: StoredRecord): boolean {
  return !isStale || value.length > 0;
}
