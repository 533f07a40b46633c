import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';

const MEGABYTE = 1_000_000;

/** Writes a file that nobody has, and answers its sha256 digest. */
export async function writeRandomFile(path: string, megabytes: number): Promise<string> {
  await using file = await open(path, 'w');
  const hash = createHash('sha256');
  // Faster than randomness, and as hard to compress.
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(MEGABYTE);
  for (let n = 0; n < megabytes; n++) {
    const chunk = cipher.update(zeros);
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  return `sha256:${hash.digest('hex')}`;
}
