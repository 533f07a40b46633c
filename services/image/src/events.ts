import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { OutboxEvent } from '@longshore/postgres';
import {
  ImageCreateSchema,
  ImageDeleteSchema,
  ImageUpdateSchema,
} from '@longshore/proto/containerd/services/images/v1/events';
import type { Image } from './domain/image.ts';

/** Every event of this service. That of a collected image is made by `gc_delete` in the migrations. */
export const imageEvents = {
  created: (image: Image): OutboxEvent =>
    event(image, '/images/create', ImageCreateSchema, { name: image.name, labels: image.labels }),
  updated: (image: Image): OutboxEvent =>
    event(image, '/images/update', ImageUpdateSchema, { name: image.name, labels: image.labels }),
  deleted: (image: Image): OutboxEvent =>
    event(image, '/images/delete', ImageDeleteSchema, { name: image.name }),
};

function event<S extends DescMessage>(
  { scope, name, revision }: Image,
  topic: string,
  schema: S,
  init: MessageInitShape<S>,
): OutboxEvent {
  const payload = toBinary(schema, create(schema, init));
  return { ...scope, topic, subject: name, revision, typeUrl: schema.typeName, payload };
}
