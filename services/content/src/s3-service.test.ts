import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { keys } from './config.ts';
import { openBlobStore } from './storage/open-blob-store.ts';
import type { S3Options } from './storage/s3/s3-options.ts';
import { ContentClients, ContentFixture, callOf } from './testing/content-fixture.ts';
import { S3FaultProxy } from './testing/s3-fault-proxy.ts';
import { createTestBucket, S3_START_TIMEOUT_MS, type TestBucket } from './testing/test-bucket.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const MIB = 1024 * 1024;

let bucket: TestBucket;
let proxy: S3FaultProxy;
let service: ContentFixture;

beforeAll(async () => {
  bucket = await createTestBucket();
  proxy = await S3FaultProxy.start(bucket.options().endpoint);
  service = await ContentFixture.start({
    ...bucket.env(),
    LONGSHORE_CONTENT_GRACE_MS: '0',
    LONGSHORE_CONTENT_LOCATE_MS: '1000',
  });
}, S3_START_TIMEOUT_MS);

afterAll(async () => {
  await service.close();
  await proxy[Symbol.asyncDispose]();
  await bucket.close();
});

beforeEach(() => {
  proxy.faults = () => undefined;
  proxy.requests.length = 0;
});

/** One more replica, in a process of its own, which reaches the bucket by way of the proxy. */
class Doomed extends ContentClients {
  readonly #process: ChildProcess;

  private constructor(address: string, process: ChildProcess) {
    super(address);
    this.#process = process;
  }

  static async start(): Promise<Doomed> {
    const listen = `unix://${join(service.directory, `${randomUUID()}.sock`)}`;
    const env = {
      ...process.env,
      ...bucket.env({ endpoint: proxy.endpoint, timeoutMs: 60_000 }),
      DATABASE_URL: service.databaseUrl,
      LONGSHORE_ROOT: service.directory,
      LONGSHORE_STATE: service.directory,
      LONGSHORE_CONTENT_LISTEN: listen,
    };
    const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error('the replica has not started')));
      child.stdout?.on('data', (line) => String(line).includes('"ready"') && resolve());
    });
    return new Doomed(listen, child);
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
    this.channel.close();
    // As ten seconds later.
    await service.pool.query(`UPDATE ingests SET writer_until = clock_timestamp() - interval '1 ms'`);
  }
}

/** Writes to a replica, and kills it once the request that `hangs` names has reached the proxy. */
async function writeUntilKilled(
  bytes: Buffer,
  durableBytes: number,
  hangs: (line: string) => boolean,
): Promise<string> {
  const doomed = await Doomed.start();
  const ref = randomUUID();
  const session = service.write({}, doomed);
  await session.send({ ref, total: BigInt(bytes.byteLength) });
  const send = async (from: number, to: number) => {
    for (let at = from; at < to; at += MIB) {
      const data = bytes.subarray(at, Math.min(to, at + MIB));
      await session.send({ action: WRITE, offset: BigInt(at), data });
    }
  };
  await send(0, durableBytes);
  expect(await session.send({ action: STAT })).toMatchObject({ offset: BigInt(durableBytes) });
  proxy.faults = ({ method, url }) => (hangs(`${method} ${url}`) ? 'hang' : undefined);
  await send(durableBytes, bytes.byteLength);
  const commit = session.send({
    action: COMMIT,
    offset: BigInt(bytes.byteLength),
    expected: digestOf(bytes),
  });
  commit.catch(() => undefined);
  await vi.waitFor(() => expect(proxy.requests.some(hangs)).toBe(true), 20_000);
  await doomed.kill();
  await session.end().catch(() => undefined);
  return ref;
}

/** Goes on where the killed replica has stopped, by the other. */
async function finish(ref: string, bytes: Buffer, durableBytes: number): Promise<void> {
  await using session = service.write();
  const opened = await session.send({ ref, total: BigInt(bytes.byteLength) });
  expect(opened.offset).toBeGreaterThanOrEqual(BigInt(durableBytes));
  const offset = Number(opened.offset);
  expect(opened.digest).toBe(digestOf(bytes.subarray(0, offset)));
  for (let at = offset; at < bytes.byteLength; at += MIB) {
    await session.send({ action: WRITE, offset: BigInt(at), data: bytes.subarray(at, at + MIB) });
  }
  await session.send({ action: COMMIT, offset: BigInt(bytes.byteLength), expected: digestOf(bytes) });
}

async function expectStored(bytes: Buffer): Promise<string> {
  const digest = digestOf(bytes);
  const hash = [];
  for await (const { data } of service.content.read({ digest }, callOf())) hash.push(data);
  expect(digestOf(Buffer.concat(hash))).toBe(digest);
  const keysOf = async () => (await bucket.keys()).filter((key) => key.startsWith('ingests/'));
  await vi.waitFor(async () => expect(await keysOf()).toEqual([]), 10_000);
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

describe('a service with a bucket, killed with SIGKILL', () => {
  it('in mid-part: another replica goes on at what is durable', async () => {
    const bytes = randomBytes(11 * MIB);
    const ref = await writeUntilKilled(bytes, 3 * MIB, (line) => line.includes('-8388608'));
    await finish(ref, bytes, 3 * MIB);
    const prefix = await expectStored(bytes);
    expect((await bucket.keys()).filter((key) => key.startsWith(prefix))).toHaveLength(1);
  });

  it('while it puts a blob together: another replica does so, and keeps one', async () => {
    const bytes = randomBytes(18 * MIB);
    const ref = await writeUntilKilled(bytes, bytes.byteLength, (line) => line.includes('partNumber=1'));
    await finish(ref, bytes, bytes.byteLength);
    const prefix = await expectStored(bytes);
    // And the upload that was not completed, until it is a day old.
    expect((await bucket.keys()).filter((key) => key.startsWith(prefix))).toHaveLength(2);
  });
});

describe('a service with a bucket', () => {
  it('gives a URL of the bucket to who holds the blob, and to nobody else', async () => {
    const digest = await service.put('located');
    const { size, place } = await service.blobs.locate({ digest }, callOf());
    expect(size).toBe(7n);
    expect(place).toMatchObject({ file: '', objectStore: { ca: '' } });
    expect(place?.url).toMatch(bucket.options().endpoint.origin);
    expect(await (await fetch(place?.url ?? '')).text()).toBe('located');
    const stranger = callOf({ namespace: 'stranger' });
    await expect(service.blobs.locate({ digest }, stranger)).rejects.toMatchObject({ kind: 'NotFound' });
    const { blobs } = await service.blobs.link({ blobs: [{ digest }] }, callOf({ node: 'n1' }));
    expect(blobs[0]).toMatchObject({ linked: true, size: 7n });
    expect(await (await fetch(blobs[0]?.place?.url ?? '')).text()).toBe('located');
  });

  it('removes the objects of what is collected, and no others', async () => {
    const [kept, gone] = [await service.put('kept'), await service.put('gone', {}, { lease: '' })];
    const has = async (digest: string) => (await bucket.keys()).some((key) => key.includes(digest.slice(7)));
    expect([await has(kept), await has(gone)]).toEqual([true, true]);
    await service.collector.collect({ wait: true }, callOf());
    await vi.waitFor(async () => {
      const { rowCount } = await service.pool.query('SELECT FROM blobs WHERE digest = $1', [gone]);
      expect(rowCount).toBe(0);
    }, 10_000);
    // Nobody has a URL of it any more, an hour later, when the next bytes are to go.
    await service.pool.query(`UPDATE tombstones SET created_at = created_at - interval '1 h'`);
    await service.content.delete({ digest: await service.put('next') }, callOf());
    await vi.waitFor(async () => expect(await has(gone)).toBe(false), 10_000);
    expect(await has(kept)).toBe(true);
    expect(await service.read(kept)).toBe('kept');
  });

  it('aborts an ingest with all of its parts', async () => {
    const session = service.write();
    await session.send({ ref: 'aborted', action: WRITE, data: Buffer.alloc(MIB) });
    await session.send({ action: STAT });
    const parts = async () => (await bucket.keys()).filter((key) => key.startsWith('ingests/'));
    expect(await parts()).toHaveLength(1);
    await service.content.abort({ ref: 'aborted' }, callOf());
    await session.end().catch(() => undefined);
    await vi.waitFor(async () => expect(await parts()).toEqual([]), 10_000);
  });
});

describe('opening the store', () => {
  const open = (overrides: Partial<S3Options>, env: NodeJS.ProcessEnv = {}) =>
    openBlobStore(loadConfig(keys, { DATABASE_URL: 'x', ...bucket.env(overrides), ...env }, undefined));

  it('says which bucket is not there, or not ours', async () => {
    const { origin } = bucket.options().endpoint;
    await expect(open({ bucket: 'longshore-missing' })).rejects.toThrow(
      `bucket "longshore-missing" at ${origin}: object store: NoSuchBucket: unavailable`,
    );
    await expect(open({ accessKey: 'nobody' })).rejects.toThrow(
      /bucket "[^"]+" at .*: object store: AccessDenied/,
    );
  });

  it('says what is missing of the configuration', async () => {
    await expect(open({}, { LONGSHORE_CONTENT_S3_SECRET_KEY: '' })).rejects.toThrow(
      'driver "s3" needs LONGSHORE_CONTENT_S3_SECRET_KEY',
    );
    await expect(open({}, { LONGSHORE_CONTENT_S3_CA: '/nowhere.pem' })).rejects.toThrow(
      'LONGSHORE_CONTENT_S3_CA',
    );
  });
});
