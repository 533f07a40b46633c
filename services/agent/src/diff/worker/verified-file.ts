import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { LongshoreError } from '@longshore/errors';
import { algorithmOf, type Digest, Digester } from '@longshore/oci';

/** Large reads: the file is read once, from its start to its end. */
const READ_BYTES = 512 * 1024;

/** A file's bytes; the last ones only when all of them have the digest. Throws DataLoss in their place. */
export async function* verifiedFile(
  path: string,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const digester = new Digester(algorithmOf(digest));
  const { size } = await stat(path);
  let readBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES, signal })) {
    digester.update(chunk);
    readBytes += chunk.length;
    if (readBytes >= size && digester.digest() !== digest) {
      throw new LongshoreError('DataLoss', `blob ${digest}: its file holds other bytes: data loss`);
    }
    yield chunk;
  }
}
