import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { unavailable } from '@longshore/errors';
import { digestOf, MediaType } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ApplyLayerRequest, LayerApplier } from '../apply.ts';
import { archive, file, Scratch } from '../testing/layers.ts';
import { routeOf, type StreamProcessor } from './stream-processor.ts';

// Each test starts threads and programs, which takes long on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

const ENCRYPTED = `${MediaType.OciLayerGzip}+encrypted`;
/** Takes one from each byte. */
const DECRYPT = `tr '\\000-\\377' '\\377\\000-\\376'`;

let scratch: Scratch;
let applier: LayerApplier;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(async () => {
  await applier?.close();
  await scratch.remove();
});

function processor(script: string, more: Partial<StreamProcessor> = {}): StreamProcessor {
  const args = ['-c', script, 'sh', scratch.path];
  const usual = { id: 'decoder', accepts: [ENCRYPTED], returns: MediaType.OciLayerGzip, env: ['LC_ALL=C'] };
  return { ...usual, path: 'sh', args, ...more };
}

async function layer() {
  const tar = await archive(file('greeting', 'hello'), file('large', Buffer.alloc(300_000, 'abc')));
  const blob = Buffer.from(gzipSync(tar).map((byte) => byte + 1));
  return { tar, blob, diffId: digestOf(tar) };
}

function apply(
  processors: readonly StreamProcessor[],
  source: ApplyLayerRequest['source'],
  more: Partial<ApplyLayerRequest> = {},
) {
  applier = new LayerApplier({ tempDirectory: scratch.directory('temp'), processors, env: process.env });
  const mounts = [{ type: 'bind', source: scratch.directory('root'), options: ['rbind', 'rw'] }];
  return applier.applyLayer({ source, mediaType: ENCRYPTED, mounts, ...more });
}

function written(name: string): string {
  return readFileSync(join(scratch.path, name), 'utf8');
}

async function pidIn(name: string): Promise<number> {
  await vi.waitUntil(() => existsSync(join(scratch.path, name)) && written(name).endsWith('\n'), {
    timeout: 20_000,
  });
  return Number(written(name));
}

/** A zombie of nobody's has ended too. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('a layer whose media type has a stream processor', () => {
  it.each(['a stream', 'a file'])('is unpacked from %s as the processor makes it', async (kind) => {
    const { tar, blob, diffId } = await layer();
    const path = join(scratch.path, 'blob');
    writeFileSync(path, blob);
    const source = kind === 'a file' ? { path, digest: digestOf(blob) } : Readable.from([blob]);
    expect(await apply([processor(DECRYPT)], source)).toMatchObject({
      digest: diffId,
      sizeBytes: tar.length,
    });
    expect(written('root/greeting')).toBe('hello');
  });

  it('passes parameters, environment and media type on', async () => {
    const { blob, diffId } = await layer();
    const script = `cat <&3 >$1/payload; echo "$KEY $STREAM_PROCESSOR_MEDIATYPE" >$1/env; ${DECRYPT}`;
    const keyed = processor(script, { env: ['LC_ALL=C', 'KEY=a=b'] });
    const payloads = { decoder: Buffer.alloc(200_000, 'key'), other: Buffer.from('not for it') };
    expect(await apply([keyed], Readable.from([blob]), { payloads })).toMatchObject({ digest: diffId });
    expect(written('payload')).toBe(payloads.decoder.toString());
    expect(written('env')).toBe(`a=b ${ENCRYPTED}\n`);
  });

  it('goes through one after the other, also in place of what is known without them', async () => {
    const { blob, diffId } = await layer();
    const unpack = processor('gzip -dc', {
      id: 'gzip',
      accepts: [MediaType.OciLayerGzip],
      returns: MediaType.OciLayer,
    });
    const applied = await apply([unpack, processor(DECRYPT)], Readable.from([blob]));
    expect(applied).toMatchObject({ digest: diffId });
  });

  it.each([
    ['without output', 'cat >/dev/null; echo "no key" >&2; exit 3'],
    ['after all of its output', `${DECRYPT}; echo "no key" >&2; exit 3`],
    ['without reading', 'echo "no key" >&2; exit 3'],
  ])('fails with what a processor says that fails %s', async (_, script) => {
    const { blob } = await layer();
    await expect(apply([processor(script)], Readable.from([blob]))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('stream processor "decoder": exit 3: no key'),
    });
  });

  it('says that a processor is not there', async () => {
    const absent = processor('', { path: '/absent/decoder' });
    await expect(apply([absent], Readable.from(['x']))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringMatching(/stream processor "decoder": spawn \/absent\/decoder ENOENT/),
    });
  });

  it('ends processors, and what they have started, when it is given up', async () => {
    const script = 'sleep 1000 & echo $! >$1/child; echo $$ >$1/self; wait';
    const abort = new AbortController();
    const hanging = new Readable({ read() {} });
    const applying = apply([processor(script)], hanging, { signal: abort.signal });
    const pids = [await pidIn('child'), await pidIn('self')];
    const reason = new Error('no longer wanted');
    abort.abort(reason);
    await expect(applying).rejects.toBe(reason);
    await vi.waitUntil(() => !pids.some(isRunning), { timeout: 20_000 });
    expect(hanging.destroyed).toBe(true);
  });

  it('ends a processor whose output is no layer', async () => {
    const endless = processor('echo $$ >$1/self; exec yes', { returns: MediaType.OciLayer });
    await expect(apply([endless], Readable.from(['x']))).rejects.toMatchObject({ kind: 'InvalidArgument' });
    expect(isRunning(await pidIn('self'))).toBe(false);
  });

  it('does not take a stream that breaks for one that ends', async () => {
    const { blob } = await layer();
    const source = new Readable({ read() {} });
    source.push(blob.subarray(0, 100));
    const applying = apply([processor(`echo $$ >$1/self; exec ${DECRYPT}`)], source);
    const pid = await pidIn('self');
    const lost = unavailable('blob sha256:…: connection lost');
    source.destroy(lost);
    await expect(applying).rejects.toBe(lost);
    expect(isRunning(pid)).toBe(false);
  });

  it('is not taken from a file with other bytes than its digest says', async () => {
    const { blob } = await layer();
    const path = join(scratch.path, 'blob');
    writeFileSync(path, blob);
    const source = { path, digest: digestOf('other') };
    await expect(apply([processor(DECRYPT)], source)).rejects.toMatchObject({ kind: 'DataLoss' });
  });
});

describe('routeOf', () => {
  it('refuses a type that leads nowhere, or in a circle', () => {
    const circle = { ...processor(''), accepts: ['a/b', 'b/c'], returns: 'b/c' };
    expect(() => routeOf('a/b', [circle])).toThrow(/stream processors for media-type "a\/b" never end/);
    expect(() => routeOf('a/b', [{ ...circle, accepts: ['a/b'] }])).toThrow(
      /no processor for media-type "b\/c"/,
    );
  });
});
