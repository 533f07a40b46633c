import { recordEvent } from '@longshore/kit';
import type { OutboxEvent } from '@longshore/postgres';
import {
  SnapshotCommitSchema,
  SnapshotPrepareSchema,
  SnapshotRemoveSchema,
} from '@longshore/proto/containerd/events/snapshot';
import type { Snapshot } from './domain/snapshot.ts';

/** What events say of a snapshot, which may not be there yet. */
type ToldSnapshot = Pick<Snapshot, 'scope' | 'snapshotter' | 'name' | 'revision'>;

/** Every event of this service. The collector's removals are told of in migrations/0002_collection.sql. */
export const snapshotEvents = {
  /** None for a view, or for one that was found ready, as in containerd. */
  prepared: (snapshot: ToldSnapshot & Pick<Snapshot, 'kind' | 'parent'>): OutboxEvent | undefined => {
    if (snapshot.kind !== 'active') return undefined;
    const { name: key, parent, snapshotter } = snapshot;
    return recordEvent(snapshot, subjectOf(snapshot), '/snapshot/prepare', SnapshotPrepareSchema, {
      key,
      parent,
      snapshotter,
    });
  },
  /** `key` is what the snapshot was called while it was active. */
  committed: (snapshot: Snapshot, key: string): OutboxEvent => {
    const { name, snapshotter } = snapshot;
    return recordEvent(snapshot, subjectOf(snapshot), '/snapshot/commit', SnapshotCommitSchema, {
      key,
      name,
      snapshotter,
    });
  },
  removed: (snapshot: ToldSnapshot): OutboxEvent => {
    const { name: key, snapshotter } = snapshot;
    return recordEvent(snapshot, subjectOf(snapshot), '/snapshot/remove', SnapshotRemoveSchema, {
      key,
      snapshotter,
    });
  },
};

/** The key of the collection contract. */
function subjectOf({ snapshotter, name }: ToldSnapshot): string {
  return `${snapshotter}/${name}`;
}
