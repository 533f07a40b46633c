import { recordEvent } from '@longshore/kit';
import type { OutboxEvent } from '@longshore/postgres';
import {
  ContainerCreateSchema,
  ContainerDeleteSchema,
  ContainerUpdateSchema,
} from '@longshore/proto/containerd/events/container';
import type { Container, DeletedContainer, NewContainer } from './domain/container.ts';

/** Every event of this service. */
export const containerEvents = {
  created: (container: NewContainer): OutboxEvent =>
    recordEvent(container, container.id, '/containers/create', ContainerCreateSchema, {
      id: container.id,
      image: container.image,
      runtime: {
        name: container.runtime.name,
        ...(container.runtime.options && { options: container.runtime.options }),
      },
    }),
  updated: (container: Container): OutboxEvent =>
    recordEvent(container, container.id, '/containers/update', ContainerUpdateSchema, {
      id: container.id,
      image: container.image,
      labels: container.labels,
      snapshotKey: container.snapshotKey,
    }),
  deleted: (container: DeletedContainer): OutboxEvent =>
    recordEvent(container, container.id, '/containers/delete', ContainerDeleteSchema, { id: container.id }),
};
