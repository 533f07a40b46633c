import { invalidArgument, LongshoreError, outOfRange } from '@longshore/errors';
import { ABSENT, objectAdaptor, parseFilters } from '@longshore/filters';
import type { Call, Handlers } from '@longshore/kit';
import { parseDigest } from '@longshore/oci';
import type { Content as ContentService } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobReader } from '../domain/blob-store.ts';
import { contentLabelChange } from '../domain/content-labels.ts';
import { contentEvents } from '../events.ts';
import type { ContentRepository } from '../storage/postgres/content-repository.ts';
import type { ContentParts } from './content-parts.ts';
import { contentToProto, ingestToProto } from './convert.ts';
import { contentRecord } from './records.ts';
import { writeContent } from './write-content.ts';

/** Go clients take at most this much in a message of a listing. */
const LIST_BLOCK = 100;
const LIST_PAGE = 1000;
/** Large enough that the cost of a message does not count, small enough to hold a few per reader. */
const READ_CHUNK_BYTES = 1024 * 1024;

/** `containerd.services.content.v1.Content`. Source: containerd plugins/services/content/contentserver. */
export function contentRpc(parts: ContentParts): Handlers<typeof ContentService> {
  const { contents, ingests, store, scheduler, remover } = parts;
  return {
    async info({ digest }, call) {
      return { info: contentToProto(await contents.get(call.scope, parseDigest(digest))) };
    },

    async update({ info, updateMask }, call) {
      if (!info) throw invalidArgument('info must be set');
      const digest = parseDigest(info.digest);
      const change = contentLabelChange(digest, info.labels, updateMask?.paths ?? []);
      const updated = await contents.updateLabels(call.scope, digest, change);
      call.reportRecord(contentRecord.stored(updated));
      scheduler.mutated(call.scope);
      return { info: contentToProto(updated) };
    },

    async *list({ filters }, call) {
      const filter = parseFilters(filters);
      let block = [];
      for await (const content of allContents(contents, call)) {
        if (!filter.matches(objectAdaptor({ digest: content.digest }, content.labels))) continue;
        block.push(contentToProto(content));
        if (block.length < LIST_BLOCK) continue;
        yield { info: block };
        block = [];
      }
      if (block.length > 0) yield { info: block };
    },

    async delete({ digest }, call) {
      const { scope, lease } = call;
      const deleted = await contents.delete(scope, parseDigest(digest), lease, contentEvents.deleted);
      call.reportEvent(contentEvents.deleted(deleted));
      call.reportRecord(contentRecord.deleted(deleted));
      remover.wake();
      scheduler.request(scope);
      return {};
    },

    async *read({ digest, offset, size }, call) {
      const content = await contents.get(call.scope, parseDigest(digest));
      await using reader = await store.open(content);
      yield* readRange(reader, content.sizeBytes, Number(offset), Number(size));
    },

    async status({ ref }, call) {
      return { status: ingestToProto(await ingests.get(call.scope, ref)) };
    },

    async listStatuses({ filters }, call) {
      const filter = parseFilters(filters);
      const all = await ingests.list(call.scope);
      const matching = all.filter(({ ref }) =>
        filter.matches((path) => (path.join('.') === 'ref' ? { value: ref, present: true } : ABSENT)),
      );
      return { statuses: matching.map(ingestToProto) };
    },

    async abort({ ref }, call) {
      await ingests.abort(call.scope, ref, call.lease);
      remover.wake();
      return {};
    },

    write: (requests, call) => writeContent(parts, requests, call),
  };
}

async function* allContents(contents: ContentRepository, call: Call) {
  const { scope } = call;
  for (let after = ''; ; ) {
    const page = await contents.page(scope, after, LIST_PAGE);
    yield* page;
    if (page.length < LIST_PAGE) return;
    after = page.at(-1)?.digest ?? '';
  }
}

/** `size` 0, negative or too long reads to the end; the offsets of the answers count from the start of the range. */
async function* readRange(reader: BlobReader, sizeBytes: number, offset: number, size: number) {
  const start = Math.max(0, offset);
  if (start > sizeBytes) throw outOfRange(`read past object length ${sizeBytes} bytes`);
  const end = size <= 0 ? sizeBytes : Math.min(sizeBytes, start + size);
  const readAt = (position: number) => {
    const chunk = reader.read(position, Math.min(READ_CHUNK_BYTES, end - position));
    // Awaited in the next round; without a handler until then a failure would count as unhandled.
    chunk.catch(() => undefined);
    return chunk;
  };
  for (let position = start, next = start < end ? readAt(start) : undefined; next; ) {
    const data = await next;
    if (data.byteLength === 0) {
      throw new LongshoreError('DataLoss', `content ends at ${position} of ${sizeBytes} bytes: data loss`);
    }
    const sentAt = position - start;
    position += data.byteLength;
    next = position < end ? readAt(position) : undefined;
    yield { offset: BigInt(sentAt), data };
  }
}
