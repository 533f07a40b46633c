import { create } from '@bufbuild/protobuf';
import { parseFilters, selectFrom } from '@longshore/filters';
import { type Call, type Handlers, listPartOf, requireTag } from '@longshore/kit';
import { GcLabel } from '@longshore/oci';
import { ImageSchema, type Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { type Collector, leaseOf, type ServiceClient } from '@longshore/rpc';
import {
  dropsReference,
  type Image,
  type ImageSpec,
  requireTarget,
  updateImage,
  validateImage,
} from '../domain/image.ts';
import { imageEvents } from '../events.ts';
import type { ImageRepository } from '../storage/postgres/image-repository.ts';
import { epochFromProto, imageFromProto, imageToProto } from './convert.ts';
import { imageAdaptor } from './filter.ts';
import { imageRecord } from './records.ts';

/** Of images among the resources of a lease, as in containerd. */
const LEASE_TYPE = 'images';

export interface ImagesParts {
  images: ImageRepository;
  leases: ServiceClient<typeof Leases>;
  collector: Collector;
}

/** `containerd.services.images.v1.Images`. Source: containerd plugins/services/images, core/metadata/images.go. */
export function imagesRpc({ images, leases, collector }: ImagesParts): Handlers<typeof Images> {
  /** Names are leased only when they expire: the others keep themselves. */
  async function keepExpiring(call: Call, { name, labels }: ImageSpec): Promise<void> {
    if (labels[GcLabel.Expire] !== undefined) await leaseOf(call, leases, LEASE_TYPE)?.keep(name);
  }

  return {
    async get({ name }, call) {
      return { image: imageToProto(await images.get(call.scope, name)) };
    },

    async list({ filters }, call) {
      const filter = parseFilters(filters);
      const part = listPartOf((name) => call.header(name));
      const pages = images.pages(call.scope, filter, part);
      const chosen = selectFrom(filter, pages, imageAdaptor, part.limit);
      return { images: (await Array.fromAsync(chosen)).map(imageToProto) };
    },

    async create({ image, sourceDateEpoch }, call) {
      const requested = validateImage(imageFromProto(image));
      const at = epochFromProto(sourceDateEpoch);
      await keepExpiring(call, requested);
      const created = await images.create(call.scope, requested, at, imageEvents.created);
      call.reportEvent(imageEvents.created(created));
      call.reportRecord(imageRecord.stored(created));
      return { image: imageToProto(created) };
    },

    async update({ image, updateMask, sourceDateEpoch }, call) {
      const requested = imageFromProto(image);
      const at = epochFromProto(sourceDateEpoch);
      let before: Image | undefined;
      const change = (stored: Image) => {
        requireVersion(call, stored);
        before = stored;
        return updateImage(stored, requested, updateMask?.paths ?? []);
      };
      // A label that another sets between here and the write is the other's to lease.
      if (call.lease) await keepExpiring(call, change(await images.get(call.scope, requested.name)));
      const updated = await images.update(call.scope, requested.name, change, at, imageEvents.updated);
      call.reportEvent(imageEvents.updated(updated));
      call.reportRecord(imageRecord.stored(updated));
      if (before && dropsReference(before, updated)) collector.ask(call.scope);
      return { image: imageToProto(updated) };
    },

    async delete({ name, sync, target }, call) {
      const check = (stored: Image) => {
        requireVersion(call, stored);
        requireTarget(stored, target?.digest ?? '');
      };
      const deleted = await images.delete(call.scope, name, check, imageEvents.deleted);
      call.reportEvent(imageEvents.deleted(deleted));
      call.reportRecord(imageRecord.deleted(deleted));
      await leaseOf(call, leases, LEASE_TYPE)?.release(name);
      if (sync) await collector.run(call);
      else collector.ask(call.scope);
      return {};
    },
  };
}

/** Throws FailedPrecondition when the call is meant for another version of the image. */
function requireVersion(call: Call, stored: Image): void {
  const subject = `image ${JSON.stringify(stored.name)}`;
  requireTag(call, subject, () => create(ImageSchema, imageToProto(stored)));
}
