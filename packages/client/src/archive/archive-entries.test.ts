import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { archiveEntries } from './archive-entries.ts';
import { linkedName } from './clean-name.ts';

type Member = Partial<Header> & { name: string; content?: string };

function archiveOf(...members: Member[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of members) archive.entry(header, content);
  archive.finalize();
  return buffer(archive);
}

async function* inPieces(bytes: Buffer, sizeBytes = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

async function read(bytes: Buffer): Promise<string[]> {
  const seen: string[] = [];
  for await (const { type, name, bytes: content, linkName } of archiveEntries(inPieces(bytes))) {
    seen.push(`${type} ${name} ${type === 'file' ? await buffer(content) : linkName}`);
  }
  return seen;
}

const MEMBERS: Member[] = [
  { name: './', type: 'directory' },
  { name: './a//b', content: 'one' },
  { name: 'link', type: 'symlink', linkname: 'a/b' },
  { name: 'fifo', type: 'fifo' },
  { name: 'c', content: 'two'.repeat(5_000) },
];
const SEEN = ['directory  ', 'file a/b one', 'symlink link a/b', `file c ${'two'.repeat(5_000)}`];

describe('archiveEntries', () => {
  it.each([
    ['as it is', (bytes: Buffer) => bytes],
    ['by gzip', gzipSync],
    ['by zstd', zstdCompressSync],
  ])('reads an archive compressed %s', async (_, compress) => {
    expect(await read(compress(await archiveOf(...MEMBERS)))).toEqual(SEEN);
  });

  it('skips what is not read', async () => {
    const names: string[] = [];
    for await (const { name } of archiveEntries(inPieces(await archiveOf(...MEMBERS)))) names.push(name);
    expect(names).toEqual(['', 'a/b', 'link', 'c']);
  });

  it.each(['../x', 'a/../../x', '/etc/passwd', 'a/..', `${'n'.repeat(5_000)}`])(
    'refuses the member %s',
    async (name) => {
      await expect(read(await archiveOf({ name, content: 'x' }))).rejects.toMatchObject({
        kind: 'InvalidArgument',
      });
    },
  );

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.alloc(5_000, 'x')],
    ['a stream that is cut', gzipSync(Buffer.alloc(100_000, 'x')).subarray(0, 50)],
  ])('refuses %s', async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('refuses an archive that ends within a member', async () => {
    const whole = await archiveOf(...MEMBERS);
    await expect(read(whole.subarray(0, whole.length - 8_000))).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
  });

  it('refuses a header that wants memory for itself', async () => {
    const bytes = await archiveOf({ name: 'x', pax: { path: 'p'.repeat(5 * 1024 * 1024) }, content: 'x' });
    await expect(read(bytes)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('throws what its source throws', async () => {
    const bytes = await archiveOf(...MEMBERS);
    async function* failing() {
      yield bytes.subarray(0, 3_000);
      throw new Error('cable pulled');
    }
    const reading = async () => {
      for await (const { bytes: content } of archiveEntries(failing())) await buffer(content);
    };
    await expect(reading()).rejects.toThrow('cable pulled');
  });

  it('ends with its signal, also while its source says nothing', async () => {
    const aborted = new AbortController();
    const silent = new PassThrough();
    silent.write((await archiveOf(...MEMBERS)).subarray(0, 2_100));
    const reading = async () => {
      for await (const { name, bytes: content } of archiveEntries(silent, aborted.signal)) {
        if (name === 'c') aborted.abort(new Error('enough'));
        await buffer(content);
      }
    };
    setTimeout(() => aborted.abort(new Error('enough')), 50);
    await expect(reading()).rejects.toThrow('enough');
  });
});

describe('linkedName', () => {
  it.each([
    ['a/b', '../c/d', 'c/d'],
    ['a', 'b', 'b'],
    ['a', '../b', undefined],
    ['a/b', '../../b', undefined],
    ['a', '/b', undefined],
  ])('of %s to %s is %s', (name, target, expected) => {
    expect(linkedName(name, target)).toBe(expected);
  });
});
