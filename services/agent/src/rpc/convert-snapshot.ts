import type { MessageInitShape } from '@bufbuild/protobuf';
import { type InfoSchema, Kind } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Kind as CatalogueKind, type Snapshot } from '@longshore/proto/longshore/snapshot/v1/catalogue';

const KINDS: Readonly<Record<CatalogueKind, Kind>> = {
  [CatalogueKind.UNSPECIFIED]: Kind.UNKNOWN,
  [CatalogueKind.VIEW]: Kind.VIEW,
  [CatalogueKind.ACTIVE]: Kind.ACTIVE,
  [CatalogueKind.COMMITTED]: Kind.COMMITTED,
};

/** A record of the catalogue as containerd's API has it. */
export function infoToProto(snapshot: Snapshot): MessageInitShape<typeof InfoSchema> {
  const { name, parent, kind, labels, createdAt, updatedAt } = snapshot;
  return {
    name,
    parent,
    kind: KINDS[kind],
    labels,
    ...(createdAt && { createdAt }),
    ...(updatedAt && { updatedAt }),
  };
}
