import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { OutboxEvent } from '@longshore/postgres';
import {
  SnapshotCommitSchema,
  SnapshotPrepareSchema,
  SnapshotRemoveSchema,
} from '@longshore/proto/containerd/events/snapshot';
import type { Snapshot } from './domain/snapshot.ts';

/** Every event of this service. The collector's removals are told of in migrations/0002_collection.sql. */
export const snapshotEvents = {
  /** None for a view, as in containerd. */
  prepared: (snapshot: Snapshot): OutboxEvent | undefined => {
    if (snapshot.kind === 'view') return undefined;
    const { name: key, parent, snapshotter } = snapshot;
    return event(snapshot, '/snapshot/prepare', SnapshotPrepareSchema, { key, parent, snapshotter });
  },
  /** `key` is what the snapshot was called while it was active. */
  committed: (snapshot: Snapshot, key: string): OutboxEvent => {
    const { name, snapshotter } = snapshot;
    return event(snapshot, '/snapshot/commit', SnapshotCommitSchema, { key, name, snapshotter });
  },
  removed: (snapshot: Snapshot): OutboxEvent => {
    const { name: key, snapshotter } = snapshot;
    return event(snapshot, '/snapshot/remove', SnapshotRemoveSchema, { key, snapshotter });
  },
};

function event<S extends DescMessage>(
  { scope, snapshotter, name, revision }: Snapshot,
  topic: string,
  schema: S,
  init: MessageInitShape<S>,
): OutboxEvent {
  const payload = toBinary(schema, create(schema, init));
  return { ...scope, topic, subject: `${snapshotter}/${name}`, revision, typeUrl: schema.typeName, payload };
}
