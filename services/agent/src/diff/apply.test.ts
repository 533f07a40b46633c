import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { unavailable } from '@longshore/errors';
import { mountAll, readMountInfo } from '@longshore/linux';
import { type Digest, MediaType } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LayerApplier } from './apply.ts';
import { archive, directory, file, Scratch, symlink } from './testing/layers.ts';

// Each test starts threads of its own, which takes long on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let scratch: Scratch;
let applier: LayerApplier;
let temp: string;

beforeEach(() => {
  scratch = new Scratch();
  temp = scratch.directory('temp');
  applier = new LayerApplier({ tempDirectory: temp });
});

afterEach(async () => {
  await applier.close();
  expect(readdirSync(temp)).toEqual([]);
  expect(readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(temp))).toEqual([]);
  await scratch.remove();
});

function overlayMounts(name = 'upper') {
  const options = [`upperdir=${scratch.directory(name)}`, `workdir=${scratch.directory('work')}`];
  return [
    { type: 'overlay', source: 'overlay', options: [...options, `lowerdir=${scratch.directory('lower')}`] },
  ];
}

function digestOf(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

/** A layer that takes some time to be written. */
function manyFiles(count: number) {
  return archive(
    ...Array.from({ length: count }, (_, index) => file(`d${index % 50}/file-${index}`, 'x'.repeat(100))),
  );
}

describe('LayerApplier', () => {
  it.each([
    ['tar', MediaType.OciLayer, (data: Buffer) => data],
    ['gzip', MediaType.OciLayerGzip, gzipSync],
    ['zstd', MediaType.OciLayerZstd, zstdCompressSync],
    ['Docker gzip', MediaType.DockerLayerGzip, gzipSync],
    ['unannounced gzip', MediaType.DockerLayer, gzipSync],
  ])('applies a layer of %s, and tells of the archive in it', async (_, mediaType, compress) => {
    const tar = Buffer.concat([
      await archive(directory('bin/'), file('bin/sh', 'shell')),
      Buffer.from('trailing'),
    ]);
    const path = join(scratch.path, 'layer');
    writeFileSync(path, compress(tar));
    const applied = { digest: digestOf(tar), sizeBytes: tar.length, bareParents: [] };
    const mounts = overlayMounts();
    expect(await applier.applyLayer({ source: path, mediaType, mounts })).toEqual(applied);
    expect(readFileSync(join(scratch.path, 'upper/bin/sh'), 'utf8')).toBe('shell');
    const source = createReadStream(path, { highWaterMark: 100 });
    const again = { source, mediaType, mounts: overlayMounts('second'), syncFs: true };
    expect(await applier.applyLayer(again)).toEqual(applied);
    expect(readFileSync(join(scratch.path, 'second/bin/sh'), 'utf8')).toBe('shell');
  });

  it('has a program decompress gzip files, and nothing else', async () => {
    await using withProgram = new LayerApplier({ tempDirectory: temp, gunzip: '/bin/gzip' });
    const tar = await archive(file('large', Buffer.alloc(3 * 2 ** 20, 'abc')));
    const path = join(scratch.path, 'layer');
    for (const stored of [gzipSync(tar), tar]) {
      writeFileSync(path, stored);
      const layer = {
        source: { path, digest: digestOf(stored) as Digest },
        mediaType: MediaType.DockerLayer,
      };
      const applied = await withProgram.applyLayer({ ...layer, mounts: overlayMounts() });
      expect(applied).toMatchObject({ digest: digestOf(tar), sizeBytes: tar.length });
      const other = { ...layer.source, digest: digestOf(Buffer.from('other')) as Digest };
      const refused = withProgram.applyLayer({ ...layer, source: other, mounts: overlayMounts() });
      await expect(refused).rejects.toMatchObject({ kind: 'DataLoss' });
    }
  });

  it('refuses a media type that is none of a layer, and closes the stream', async () => {
    const source = Readable.from(['never read']);
    const refused = applier.applyLayer({ source, mediaType: 'application/x-erofs', mounts: overlayMounts() });
    await expect(refused).rejects.toThrow(
      'no processor for media-type "application/x-erofs": not implemented',
    );
    expect(source.destroyed).toBe(true);
  });

  it('passes a stream far larger than its window, whatever the size of its pieces', async () => {
    const tar = await archive(file('large', Buffer.alloc(30 * 2 ** 20, 'abc')));
    const pieces = [tar.subarray(0, 1), tar.subarray(1, 9 * 2 ** 20), tar.subarray(9 * 2 ** 20)];
    const source = Readable.from(pieces);
    const applied = await applier.applyLayer({
      source,
      mediaType: MediaType.OciLayer,
      mounts: overlayMounts(),
    });
    expect(applied).toMatchObject({ digest: digestOf(tar), sizeBytes: tar.length });
  });

  it('keeps kind and message of what is wrong with a layer', async () => {
    const source = Readable.from([await archive(file('f'), file('f/x'))]);
    const refused = applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts: overlayMounts() });
    await expect(refused).rejects.toMatchObject({
      name: 'LongshoreError',
      kind: 'InvalidArgument',
      message: expect.stringMatching(/^layer entry "f\/x": ENOTDIR/),
    });
  });

  it('says that a file is missing, and goes on working', async () => {
    const request = { mediaType: MediaType.OciLayer, mounts: overlayMounts() };
    await expect(applier.applyLayer({ ...request, source: '/absent/layer' })).rejects.toThrow(/ENOENT/);
    const source = Readable.from([await archive(file('f'))]);
    await applier.applyLayer({ ...request, source });
    expect(existsSync(join(scratch.path, 'upper/f'))).toBe(true);
  });

  it('works on several layers at once, and on more than it has threads', async () => {
    const tar = await manyFiles(300);
    const names = Array.from({ length: 7 }, (_, index) => `layer-${index}`);
    await Promise.all(
      names.map((name) => {
        const source = Readable.from([tar]);
        return applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts: overlayMounts(name) });
      }),
    );
    for (const name of names) expect(readdirSync(join(scratch.path, name))).toHaveLength(50);
  });

  it('leaves the event loop free', async () => {
    const source = Readable.from([await manyFiles(1500)]);
    let ticks = 0;
    const ticker = setInterval(() => ticks++, 5);
    const start = performance.now();
    await applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts: overlayMounts() });
    clearInterval(ticker);
    expect(ticks).toBeGreaterThan((performance.now() - start) / 5 / 4);
  });
});

describe('LayerApplier on other mounts', () => {
  it('mounts them for the time of it, and removes what a whiteout names', async () => {
    const [first, second] = [scratch.directory('first'), scratch.directory('second')];
    scratch.directory('first', 'inner');
    writeFileSync(join(first, 'old'), 'old');
    const mounts = [
      { type: 'bind', source: first, options: ['rbind', 'rw'] },
      { type: 'bind', source: second, target: '/inner', options: ['rbind', 'rw'] },
    ];
    const source = Readable.from([
      await archive(file('a'), file('.wh.old', ''), file('inner/b'), symlink('c', '/')),
    ]);
    await applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts });
    expect(readdirSync(first).toSorted()).toEqual(['a', 'c', 'inner']);
    expect(readdirSync(second)).toEqual(['b']);
  });

  it('fails on one that is read-only', async () => {
    const mounts = [{ type: 'bind', source: scratch.directory('first'), options: ['rbind', 'ro'] }];
    const source = Readable.from([await archive(file('a'))]);
    await expect(applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts })).rejects.toMatchObject(
      {
        kind: 'FailedPrecondition',
        message: expect.stringContaining('EROFS'),
      },
    );
  });

  it('fails on one that cannot be mounted', async () => {
    const mounts = [{ type: 'overlay', source: 'overlay', options: ['lowerdir=/absent'] }];
    const source = Readable.from([await archive(file('a'))]);
    await expect(applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts })).rejects.toThrow(
      /mount/,
    );
  });

  it('says so when the disk is full', async () => {
    const small = scratch.directory('small');
    await mountAll([{ type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] }], small);
    const mounts = [{ type: 'bind', source: small, options: ['rbind', 'rw'] }];
    const source = Readable.from([await archive(file('a', Buffer.alloc(200_000)))]);
    await expect(applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts })).rejects.toMatchObject(
      {
        kind: 'ResourceExhausted',
        message: expect.stringMatching(/^layer entry "a": ENOSPC/),
      },
    );
  });
});

describe('LayerApplier when given up', () => {
  it('stops with the reason of the signal, and closes a stream that hangs', async () => {
    const tar = await archive(file('first'), file('second', 'x'.repeat(5000)));
    const source = new Readable({ read() {} });
    source.push(tar.subarray(0, 2048));
    const abort = new AbortController();
    const mounts = overlayMounts();
    const applying = applier.applyLayer({
      source,
      mediaType: MediaType.OciLayer,
      mounts,
      signal: abort.signal,
    });
    await vi.waitUntil(() => existsSync(join(scratch.path, 'upper/second')), { timeout: 10_000 });
    const reason = new Error('no longer wanted');
    abort.abort(reason);
    await expect(applying).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    const next = {
      source: Readable.from([tar]),
      mediaType: MediaType.OciLayer,
      mounts: overlayMounts('next'),
    };
    expect(await applier.applyLayer(next)).toMatchObject({ sizeBytes: tar.length });
  });

  it('writes nothing any more once it has rejected', async () => {
    const path = join(scratch.path, 'layer');
    writeFileSync(path, await manyFiles(20_000));
    const abort = new AbortController();
    const mounts = overlayMounts();
    const applying = applier.applyLayer({
      source: path,
      mediaType: MediaType.OciLayer,
      mounts,
      signal: abort.signal,
    });
    const upper = join(scratch.path, 'upper');
    await vi.waitUntil(() => readdirSync(upper).length > 0, { timeout: 10_000, interval: 1 });
    abort.abort();
    await expect(applying).rejects.toMatchObject({ name: 'AbortError' });
    const written = readdirSync(upper, { recursive: true }).length;
    expect(written).toBeLessThan(20_050);
    await applier.applyLayer({
      source: Readable.from([await archive(file('f'))]),
      mediaType: MediaType.OciLayer,
      mounts: overlayMounts('next'),
    });
    expect(readdirSync(upper, { recursive: true })).toHaveLength(written);
  });

  it('starts nothing for a signal that is aborted, also while waiting for its turn', async () => {
    const single = new LayerApplier({ tempDirectory: temp, maxWorkers: 1 });
    try {
      const hanging = new Readable({ read() {} });
      const mediaType = MediaType.OciLayer;
      const running = single.applyLayer({ source: hanging, mediaType, mounts: overlayMounts() });
      const abort = new AbortController();
      const waiting = single.applyLayer({
        source: Readable.from([]),
        mediaType,
        mounts: overlayMounts(),
        signal: abort.signal,
      });
      abort.abort();
      await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
      hanging.push(null);
      expect(await running).toMatchObject({ sizeBytes: 0 });
    } finally {
      await single.close();
    }
  });

  it('fails with the error of a stream that breaks', async () => {
    const source = new Readable({ read() {} });
    source.push((await archive(file('f', 'x'.repeat(5000)))).subarray(0, 1024));
    const mounts = overlayMounts();
    const applying = applier.applyLayer({ source, mediaType: MediaType.OciLayer, mounts });
    await vi.waitUntil(() => existsSync(join(scratch.path, 'upper/f')), { timeout: 10_000 });
    const lost = unavailable('blob sha256:…: connection lost');
    source.destroy(lost);
    await expect(applying).rejects.toBe(lost);
  });

  it('is refused when closed, and closing ends what runs', async () => {
    const hanging = new Readable({ read() {} });
    const request = { mediaType: MediaType.OciLayer, mounts: overlayMounts() };
    const running = applier.applyLayer({ ...request, source: hanging });
    const ended = expect(running).rejects.toMatchObject({ kind: 'Unavailable' });
    await applier.close();
    await ended;
    await expect(applier.applyLayer({ ...request, source: Readable.from([]) })).rejects.toMatchObject({
      kind: 'Unavailable',
    });
  });

  it('fails when a thread dies for want of memory, and starts another for the next layer', async () => {
    const tiny = new LayerApplier({ tempDirectory: temp, maxHeapMb: 3, maxWorkers: 1 });
    try {
      for (const name of ['first', 'second']) {
        const mounts = [{ type: 'bind', source: scratch.directory(name), target: '/', options: [] }];
        const source = Readable.from([await archive(file('f'))]);
        await expect(
          tiny.applyLayer({ source, mediaType: MediaType.OciLayer, mounts }),
        ).rejects.toMatchObject({
          kind: 'ResourceExhausted',
          cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
        });
        expect(source.destroyed).toBe(true);
      }
    } finally {
      await tiny.close();
    }
  });

  it('ends a thread that has had nothing to do', async () => {
    const brief = new LayerApplier({ tempDirectory: temp, idleMs: 20 });
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const source = Readable.from([await archive(file('f'))]);
    await brief.applyLayer({ source, mediaType: MediaType.OciLayer, mounts: overlayMounts() });
    expect(threads()).toBeGreaterThan(before);
    await vi.waitUntil(() => threads() <= before, { timeout: 10_000 });
    await brief.close();
  });
});
