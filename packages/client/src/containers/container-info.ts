import type { Any } from '@bufbuild/protobuf/wkt';
import type { Container as ContainerRecord } from '@longshore/proto/containerd/services/containers/v1/containers';
import { ReservedLabel } from '@longshore/proto/headers';
import { dateOf } from '../call-time.ts';

/** The record of a container. */
export interface ContainerInfo {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of what it was made from; empty when nobody said. */
  readonly image: string;
  readonly runtime: { readonly name: string; readonly options: Any | undefined };
  readonly snapshotter: string;
  /** Empty for none. */
  readonly snapshotKey: string;
  readonly createdAt: Date | undefined;
  readonly updatedAt: Date | undefined;
  readonly extensions: Readonly<Record<string, Any>>;
  /** Empty for none. */
  readonly sandbox: string;
  /** Where it is, when a fleet says so. */
  readonly node: string | undefined;
  /** As it is kept: a JSON document of the OCI runtime spec. */
  readonly spec: Any | undefined;
}

export function containerInfoFromProto(record: ContainerRecord): ContainerInfo {
  const { id, labels, image, runtime, snapshotter, snapshotKey, extensions, sandbox, spec } = record;
  return {
    id,
    labels,
    image,
    runtime: { name: runtime?.name ?? '', options: runtime?.options },
    snapshotter,
    snapshotKey,
    createdAt: dateOf(record.createdAt),
    updatedAt: dateOf(record.updatedAt),
    extensions,
    sandbox,
    node: labels[ReservedLabel.Node],
    spec,
  };
}
