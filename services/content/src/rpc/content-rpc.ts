import { invalidArgument, LongshoreError, outOfRange } from '@longshore/errors';
import { ABSENT, type Adaptor, inBlocks, objectAdaptor, parseFilters, selectFrom } from '@longshore/filters';
import { type Handlers, listPartOf, passBulk } from '@longshore/kit';
import { parseDigest } from '@longshore/oci';
import type { Content as ContentService } from '@longshore/proto/containerd/services/content/v1/content';
import type { BlobReader } from '../domain/blob-store.ts';
import type { ByteRange } from '../domain/byte-range.ts';
import type { Content } from '../domain/content.ts';
import { contentLabelChange } from '../domain/content-labels.ts';
import type { Ingest } from '../domain/ingest.ts';
import { contentEvents } from '../events.ts';
import type { ContentParts } from './content-parts.ts';
import { contentToProto, ingestToProto } from './convert.ts';
import { contentRecord } from './records.ts';
import { writeContent } from './write-content.ts';

/** Go clients take at most this much in a message of a listing. */
const LIST_BLOCK = 100;
/** Large enough that the cost of a message does not count, small enough to hold two for each of many slow readers. */
const READ_CHUNK_BYTES = 256 * 1024;

/** `containerd.services.content.v1.Content`. Source: containerd plugins/services/content/contentserver. */
export function contentRpc(parts: ContentParts): Handlers<typeof ContentService> {
  const { contents, ingests, health, reads, scheduler, remover } = parts;
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
      const part = listPartOf((name) => call.header(name));
      const pages = contents.pages(call.scope, filter, part);
      const chosen = selectFrom(filter, pages, contentAdaptor, part.limit);
      for await (const block of inBlocks(chosen, LIST_BLOCK)) yield { info: block.map(contentToProto) };
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
      const content = await contents.readable(call.scope, parseDigest(digest));
      const range = rangeOf(content.sizeBytes, Number(offset), Number(size));
      await using reader = await health.open(content);
      let sentBytes = 0;
      for await (const data of reads.pass(content, range, chunksOf(reader, range))) {
        yield { offset: BigInt(sentBytes), data };
        sentBytes += data.byteLength;
        passBulk(data.byteLength);
      }
    },

    async status({ ref }, call) {
      return { status: ingestToProto(await ingests.get(call.scope, ref)) };
    },

    async listStatuses({ filters }, call) {
      const filter = parseFilters(filters);
      const chosen = selectFrom(filter, ingests.pages(call.scope, filter), ingestAdaptor);
      return { statuses: (await Array.fromAsync(chosen)).map(ingestToProto) };
    },

    async abort({ ref }, call) {
      await ingests.abort(call.scope, ref, call.lease);
      remover.wake();
      return {};
    },

    write: (requests, call) => writeContent(parts, requests, call),
  };
}

function contentAdaptor({ digest, labels }: Content): Adaptor {
  return objectAdaptor({ digest }, labels);
}

function ingestAdaptor({ ref }: Ingest): Adaptor {
  return ([field]) => (field === 'ref' ? { value: ref, present: true } : ABSENT);
}

/** `size` 0, negative or too long reads to the end. Throws OutOfRange. */
function rangeOf(sizeBytes: number, offset: number, size: number): ByteRange {
  const start = Math.max(0, offset);
  if (start > sizeBytes) throw outOfRange(`read past object length ${sizeBytes} bytes`);
  return { start, end: size <= 0 ? sizeBytes : Math.min(sizeBytes, start + size) };
}

/** Throws DataLoss when the bytes end early. */
async function* chunksOf(reader: BlobReader, { start, end }: ByteRange): AsyncGenerator<Uint8Array> {
  const readAt = (position: number) => {
    const chunk = reader.read(position, Math.min(READ_CHUNK_BYTES, end - position));
    // Awaited in the next round; without a handler until then a failure would count as unhandled.
    chunk.catch(() => undefined);
    return chunk;
  };
  for (let position = start, next = start < end ? readAt(start) : undefined; next; ) {
    const data = await next;
    if (data.byteLength === 0) {
      throw new LongshoreError('DataLoss', `content ends at ${position}, not at ${end}: data loss`);
    }
    position += data.byteLength;
    next = position < end ? readAt(position) : undefined;
    yield data;
  }
}
