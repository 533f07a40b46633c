import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { OutboxEvent } from '@longshore/postgres';
import {
  ContainerCreateSchema,
  ContainerDeleteSchema,
  ContainerUpdateSchema,
} from '@longshore/proto/containerd/events/container';
import type { Container } from './domain/container.ts';

/** Every event of this service. */
export const containerEvents = {
  created: (container: Container): OutboxEvent =>
    event(container, '/containers/create', ContainerCreateSchema, {
      id: container.id,
      image: container.image,
      runtime: {
        name: container.runtime.name,
        ...(container.runtime.options && { options: container.runtime.options }),
      },
    }),
  updated: (container: Container): OutboxEvent =>
    event(container, '/containers/update', ContainerUpdateSchema, {
      id: container.id,
      image: container.image,
      labels: container.labels,
      snapshotKey: container.snapshotKey,
    }),
  deleted: (container: Container): OutboxEvent =>
    event(container, '/containers/delete', ContainerDeleteSchema, { id: container.id }),
};

function event<S extends DescMessage>(
  { scope, id, revision }: Container,
  topic: string,
  schema: S,
  init: MessageInitShape<S>,
): OutboxEvent {
  const payload = toBinary(schema, create(schema, init));
  return { ...scope, topic, subject: id, revision, typeUrl: schema.typeName, payload };
}
