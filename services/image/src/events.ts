import { recordEvent } from '@longshore/kit';
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
    recordEvent(image, image.name, '/images/create', ImageCreateSchema, {
      name: image.name,
      labels: image.labels,
    }),
  updated: (image: Image): OutboxEvent =>
    recordEvent(image, image.name, '/images/update', ImageUpdateSchema, {
      name: image.name,
      labels: image.labels,
    }),
  deleted: (image: Image): OutboxEvent =>
    recordEvent(image, image.name, '/images/delete', ImageDeleteSchema, { name: image.name }),
};
