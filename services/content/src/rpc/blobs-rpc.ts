import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { parseDigest, parseIdentifier, validateLabels, withoutEmptyLabels } from '@longshore/oci';
import type { BlobService, LinkBlob, PlaceSchema } from '@longshore/proto/longshore/content/v1/blobs';
import type { BlobHealth } from '../domain/blob-health.ts';
import type { CollectionScheduler } from '../domain/collection-scheduler.ts';
import type { LinkRequest } from '../domain/link.ts';
import type { Place, Places } from '../domain/places.ts';
import { contentEvents } from '../events.ts';
import type { ContentRepository } from '../storage/postgres/content-repository.ts';
import type { LinkRepository } from '../storage/postgres/link-repository.ts';
import { contentRecord } from './records.ts';

/** An image has tens of blobs; a transaction of this many takes well under a second. */
const MAX_LINKS = 1000;

/** What blobs are located, linked and forgotten with. */
export interface BlobParts {
  contents: ContentRepository;
  links: LinkRepository;
  places: Places;
  health: BlobHealth;
  scheduler: CollectionScheduler;
  /** Removes the records of all services that a node has. */
  forgetNode(node: string): Promise<void>;
}

/** `longshore.content.v1.BlobService`. */
export function blobsRpc(parts: BlobParts): Handlers<typeof BlobService> {
  const { contents, links, places, health, scheduler } = parts;
  return {
    async locate({ digest }, call) {
      const content = await contents.readable(call.scope, parseDigest(digest));
      return { size: BigInt(content.sizeBytes), place: placeToProto(await places.of(content)) };
    },

    async link({ blobs }, call) {
      if (blobs.length > MAX_LINKS) throw invalidArgument(`${blobs.length} blobs: at most ${MAX_LINKS}`);
      const { scope, lease } = call;
      const requests = new Map(blobs.map((blob) => [blob.digest, linkFromProto(blob)]));
      const linked = await links.link(scope, [...requests.values()], lease, contentEvents.created);
      for (const { content, isNew } of linked) {
        if (isNew) call.reportEvent(contentEvents.created(content));
        call.reportRecord(contentRecord.stored(content));
      }
      if (linked.some(({ isNew }) => isNew)) scheduler.mutated(scope);
      const found = new Map(linked.map(({ content }) => [content.digest as string, content]));
      const answers = blobs.map(async ({ digest }) => {
        const content = found.get(digest);
        if (!content) return { digest, linked: false };
        const place = placeToProto(await places.of(content));
        return { digest, linked: true, size: BigInt(content.sizeBytes), place };
      });
      return { blobs: await Promise.all(answers) };
    },

    async verify({ digest }, call) {
      const content = await contents.get(call.scope, parseDigest(digest));
      return { corruptReason: content.quarantine?.reason ?? (await health.checkOnce(content)) ?? '' };
    },

    async forgetNode({ node }) {
      await parts.forgetNode(parseIdentifier(node, 'node'));
      return {};
    },
  };
}

function placeToProto({ file = '', url }: Place): MessageInitShape<typeof PlaceSchema> {
  if (!url) return { file };
  const { text, expiresAt, trust } = url;
  const objectStore = trust === 'fleet' ? undefined : { ca: trust === 'public' ? '' : trust.ca };
  return { file, url: text, urlExpiresAt: timestampFromDate(expiresAt), ...(objectStore && { objectStore }) };
}

function linkFromProto({ digest, size, labels }: LinkBlob): LinkRequest {
  validateLabels(labels);
  return { digest: parseDigest(digest), sizeBytes: Number(size), labels: withoutEmptyLabels(labels) };
}
