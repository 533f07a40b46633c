import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument, notFound } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { parseDigest } from '@longshore/oci';
import type { ScrubService } from '@longshore/proto/longshore/content/v1/scrub';
import type { BlobHealth } from '../domain/blob-health.ts';
import type { HealthRepository } from '../storage/postgres/health-repository.ts';

const DEFAULT_LIMIT = 100;
/** Each may be held by every node. */
const MAX_LIMIT = 1000;

/** `longshore.content.v1.ScrubService`. */
export function scrubRpc(health: BlobHealth, records: HealthRepository): Handlers<typeof ScrubService> {
  return {
    async scrub(request, { signal }) {
      const digest = parseDigest(request.digest);
      const blob = await records.find(digest);
      if (!blob) throw notFound(`content digest ${digest}`);
      const fault = await health.check(blob, async () => signal.throwIfAborted());
      return { size: BigInt(blob.sizeBytes), corruptReason: fault ?? '' };
    },

    async listCorrupt({ after, limit }) {
      if (limit < 0 || limit > MAX_LIMIT) throw invalidArgument(`limit ${limit}: want at most ${MAX_LIMIT}`);
      const corrupt = await records.corrupt(after, limit || DEFAULT_LIMIT);
      return {
        blobs: corrupt.map(({ digest, sizeBytes, since, reason, holders }) => ({
          digest,
          size: BigInt(sizeBytes),
          since: timestampFromDate(since),
          reason,
          holders: [...holders],
        })),
      };
    },
  };
}
