import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceClient } from '@longshore/client';
import { type Adaptor, mapField, objectAdaptor, parseFilters } from '@longshore/filters';
import type { Handlers } from '@longshore/kit';
import type { Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { CollectorService } from '@longshore/proto/longshore/content/v1/collector';
import { askForCollection, collectNow } from '../content/collector.ts';
import { keepByLease } from '../content/lease.ts';
import { type Image, updateImage, validateImage } from '../domain/image.ts';
import { imageEvents } from '../events.ts';
import type { ImageRepository } from '../storage/postgres/image-repository.ts';
import { imageFromProto, imageToProto } from './convert.ts';

export interface ImagesRpcOptions {
  images: ImageRepository;
  leases: ServiceClient<typeof Leases>;
  collector: ServiceClient<typeof CollectorService>;
}

/** `containerd.services.images.v1.Images`. Source: containerd plugins/services/images. */
export function imagesRpc({ images, leases, collector }: ImagesRpcOptions): Handlers<typeof Images> {
  return {
    async get({ name }, call) {
      return { image: imageToProto(await images.get(call.scope, name)) };
    },

    async list({ filters }, call) {
      const filter = parseFilters(filters);
      const all = await images.list(call.scope);
      const chosen = filter.matchesAll ? all : all.filter((image) => filter.matches(adaptorOf(image)));
      return { images: chosen.map(imageToProto) };
    },

    async create({ image, sourceDateEpoch }, call) {
      const spec = validateImage(imageFromProto(image));
      await keepByLease(call, leases, spec);
      const created = await images.create(call.scope, spec, dateOf(sourceDateEpoch));
      call.reportEvent(imageEvents.created(created));
      return { image: imageToProto(created) };
    },

    async update({ image, updateMask, sourceDateEpoch }, call) {
      const requested = imageFromProto(image);
      const paths = updateMask?.paths ?? [];
      const change = (stored: Image) => updateImage(stored, requested, paths);
      const updated = await images.update(call.scope, requested.name, change, dateOf(sourceDateEpoch));
      call.reportEvent(imageEvents.updated(updated));
      askForCollection(call, collector);
      return { image: imageToProto(updated) };
    },

    async delete({ name, sync, target }, call) {
      const deleted = await images.delete(call.scope, name, target?.digest);
      call.reportEvent(imageEvents.deleted(deleted));
      if (sync) await collectNow(call, collector);
      else askForCollection(call, collector);
      return {};
    },
  };
}

function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  return timestamp && timestampDate(timestamp);
}

function adaptorOf({ name, labels, target }: Image): Adaptor {
  const plain = objectAdaptor(
    { name, 'target.digest': target.digest, 'target.mediatype': target.mediaType },
    labels,
  );
  return (path) => (path[0] === 'annotations' ? mapField(target.annotations, path.slice(1)) : plain(path));
}
