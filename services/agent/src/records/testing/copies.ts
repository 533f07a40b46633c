import { create } from '@bufbuild/protobuf';
import { type Record, RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { onTestFinished } from 'vitest';
import { RecordCopy } from '../record-copy.ts';
import { KEEPERS } from '../record-kinds.ts';

/** A copy that keeps nothing and knows nothing yet, until the test ends. */
export function emptyCopy(): RecordCopy {
  const copy = new RecordCopy(':memory:', 'node-1');
  onTestFinished(() => copy[Symbol.dispose]());
  return copy;
}

/** A copy that is complete, with no records. */
export function syncedCopy(): RecordCopy {
  const copy = emptyCopy();
  for (const keeper of KEEPERS) {
    copy.applyWatched(keeper, copy.beginRound(keeper).round, {
      records: [],
      position: '0',
      reset: false,
      synced: true,
    });
  }
  return copy;
}

/** A record of a container in `default` whose value is a text. */
export function containerRecord(key: string, revision: bigint, value = `${key}@${revision}`): Record {
  return create(RecordSchema, {
    kind: 'container',
    namespace: 'default',
    key,
    revision,
    value: Buffer.from(value),
  });
}

export function deletion(key: string, revision: bigint): Record {
  return create(RecordSchema, { kind: 'container', namespace: 'default', key, revision, deleted: true });
}

/** The text of a container's record, as a test sees it. */
export function textOf(copy: RecordCopy, key: string): string | undefined {
  const record = copy.get('container', 'default', key);
  return record === 'stale' ? 'stale' : record && Buffer.from(record.value).toString();
}
