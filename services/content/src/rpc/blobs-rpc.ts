import type { Handlers } from '@longshore/kit';
import { parseDigest } from '@longshore/oci';
import type { BlobService } from '@longshore/proto/longshore/content/v1/blobs';
import type { BlobStore } from '../domain/blob-store.ts';
import type { ContentRepository } from '../storage/postgres/content-repository.ts';

/** `longshore.content.v1.BlobService`. */
export function blobsRpc(contents: ContentRepository, store: BlobStore): Handlers<typeof BlobService> {
  return {
    async locate({ digest }, call) {
      const content = await contents.get(call.scope, parseDigest(digest));
      const { path } = store.locate(content);
      return { size: BigInt(content.sizeBytes), place: { case: 'file', value: { path } } };
    },
  };
}
