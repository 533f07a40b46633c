import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { OpaqueAny } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type {
  Container as ContainerMessage,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { ReservedLabel } from '@longshore/proto/headers';
import type { ListedContainerSchema } from '@longshore/proto/longshore/runtime/v1/containers';
import type { Container, ContainerSpec } from '../domain/container.ts';
import type { ListedContainer } from '../storage/postgres/container-listing.ts';
import {
  anyFromProto,
  anyMapFromProto,
  anyMapToProto,
  runtimeFromProto,
  runtimeToProto,
} from './convert-any.ts';

/** What a request says; `spec` may be missing, which only some requests allow. */
export function containerFromProto(
  message: ContainerMessage | undefined,
): Omit<ContainerSpec, 'spec'> & { spec: OpaqueAny | undefined } {
  if (!message) throw invalidArgument('container must be set');
  return {
    id: message.id,
    labels: message.labels,
    image: message.image,
    runtime: runtimeFromProto(message.runtime),
    spec: anyFromProto(message.spec),
    snapshotter: message.snapshotter,
    snapshotKey: message.snapshotKey,
    extensions: anyMapFromProto(message.extensions),
    sandbox: message.sandbox,
  };
}

export function containerToProto(container: Container): MessageInitShape<typeof ContainerSchema> {
  return {
    id: container.id,
    labels: labelsToProto(container),
    image: container.image,
    runtime: runtimeToProto(container.runtime),
    spec: container.spec,
    snapshotter: container.snapshotter,
    snapshotKey: container.snapshotKey,
    extensions: anyMapToProto(container.extensions),
    sandbox: container.sandbox,
    createdAt: timestampFromDate(container.createdAt),
    updatedAt: timestampFromDate(container.updatedAt),
  };
}

export function listedContainerToProto(
  listed: ListedContainer,
): MessageInitShape<typeof ListedContainerSchema> {
  const { node, id, image, runtimeName, snapshotter, snapshotKey, sandbox, createdAt, updatedAt } = listed;
  return {
    node,
    container: {
      id,
      labels: labelsToProto(listed),
      image,
      runtime: { name: runtimeName },
      snapshotter,
      snapshotKey,
      sandbox,
      createdAt: timestampFromDate(createdAt),
      updatedAt: timestampFromDate(updatedAt),
    },
  };
}

function labelsToProto({ labels, deletingAt }: Pick<Container, 'labels' | 'deletingAt'>): Labels {
  return deletingAt ? { ...labels, [ReservedLabel.Deleting]: 'true' } : labels;
}
