import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { encodedOf, parseDigest } from '@longshore/oci';
import type { Fleet } from './fleet.ts';
import { queryFleet } from './fleet-query.ts';

/** Digests of stored blobs whose bytes are not all there, or not theirs. */
export async function brokenBlobs(fleet: Fleet): Promise<string[]> {
  const blobs = await queryFleet<{ digest: string; generation: string }>(
    fleet,
    'SELECT digest, generation::text FROM content.blobs',
  );
  const broken: string[] = [];
  for (const { digest, generation } of blobs) {
    const hex = encodedOf(parseDigest(digest));
    const path = join(fleet.local.layout.blobDir, 'blobs/sha256', hex.slice(0, 2), hex, generation);
    const hash = createHash('sha256');
    if (existsSync(path)) await pipeline(createReadStream(path), hash);
    if (hash.digest('hex') !== hex) broken.push(digest);
  }
  return broken;
}
