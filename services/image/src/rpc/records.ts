import { deletedRecord, type NodeRecord, storedRecord } from '@longshore/kit';
import { type RecordSource, recordSource } from '@longshore/postgres';
import { ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import type { Image } from '../domain/image.ts';
import { imageTable } from '../storage/postgres/image-repository.ts';
import { imageToProto } from './convert.ts';

/** What nodes keep copies of. */
export const imageRecord = {
  stored: (image: Image): NodeRecord =>
    storedRecord('image', image, image.name, ImageSchema, imageToProto(image)),
  deleted: (image: Image): NodeRecord => deletedRecord('image', image, image.name),
};

export const imageSources: readonly RecordSource[] = [recordSource(imageTable, imageRecord.stored)];
