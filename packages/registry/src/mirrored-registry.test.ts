import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { digestOf, MediaType, parseReference } from '@longshore/oci';
import { scratchDirectory, TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CredentialSource } from './credentials.ts';
import { MirroredRegistry } from './mirrored-registry.ts';
import { plainRegistryHost, type RegistryHost } from './registry-host.ts';
import { FakeRegistry } from './testing/index.ts';

const REFERENCE = parseReference('registry.example/a/b:1');
const MANIFEST = { mediaType: MediaType.OciManifest, bytes: Buffer.from('{"schemaVersion":2}') };
const BYTES = randomBytes(300_000);
const BLOB = { mediaType: MediaType.OciLayer, digest: digestOf(BYTES), size: BYTES.length };

async function mirror(): Promise<FakeRegistry> {
  const registry = await FakeRegistry.start();
  registry.manifests.set('a/b:1', MANIFEST);
  registry.manifests.set(digestOf(MANIFEST.bytes), MANIFEST);
  registry.blobs.set(BLOB.digest, BYTES);
  return registry;
}

function hostOf(registry: FakeRegistry, more: Partial<RegistryHost> = {}): RegistryHost {
  return { ...plainRegistryHost(registry.host), ...more };
}

function at(hosts: RegistryHost[], credentials?: CredentialSource): MirroredRegistry {
  const registry = new MirroredRegistry('registry.example', hosts, credentials);
  onTestFinished(() => registry.close());
  return registry;
}

const read = (registry: MirroredRegistry) => buffer(registry.blob(REFERENCE, BLOB));

describe('MirroredRegistry', () => {
  it('asks hosts in their order, each for what it is good for, and says whose images are meant', async () => {
    const [first, second] = [await mirror(), await mirror()];
    const hosts = [
      hostOf(first, { capabilities: new Set(['resolve']) }),
      hostOf(second, { capabilities: new Set(['pull']) }),
    ];
    const registry = at(hosts);
    expect((await registry.manifest(REFERENCE)).bytes).toEqual(MANIFEST.bytes);
    expect(await read(registry)).toEqual(BYTES);
    expect(new Set(first.requests.map(({ path }) => path))).toEqual(
      new Set(['/v2/a/b/manifests/1?ns=registry.example']),
    );
    expect(second.requests.map(({ path }) => path)).toEqual([
      `/v2/a/b/manifests/${digestOf(MANIFEST.bytes)}?ns=registry.example`,
      `/v2/a/b/blobs/${BLOB.digest}?ns=registry.example`,
    ]);
    expect(() => registry.pusher()).toThrow(/no host of it is for push/);
  });

  it('has the next host give what one lacks, refuses, damages, or ends in the middle of', async () => {
    const [first, second] = [await mirror(), await mirror()];
    const registry = at([hostOf(first), hostOf(second)]);
    const blob = `/v2/a/b/blobs/${BLOB.digest}`;
    first.fail(blob, { status: 403 }, { body: randomBytes(BYTES.length) });
    expect(await read(registry)).toEqual(BYTES);
    // As long as nothing was handed on of what is damaged.
    await expect(read(registry)).rejects.toMatchObject({ kind: 'DataLoss' });
    first.manifests.clear();
    expect((await registry.manifest(REFERENCE)).bytes).toEqual(MANIFEST.bytes);
    const cut = { cutAfterBytes: 100_000 };
    first.fail(blob, cut, ...Array(9).fill({ status: 404 }));
    second.requests.length = 0;
    expect(await read(registry)).toEqual(BYTES);
    expect(second.requests.map(({ range }) => range)).toEqual([expect.stringMatching(/^bytes=\d+-$/)]);
  });

  it('throws what the first one failed with, and that it is nowhere only if all say so', async () => {
    const [first, second] = [await mirror(), await mirror()];
    for (const each of [first, second]) each.manifests.clear();
    const registry = at([hostOf(first), hostOf(second)]);
    await expect(registry.manifest(REFERENCE)).rejects.toMatchObject({ kind: 'NotFound' });
    second.fail('/v2/a/b/manifests/1', { status: 403 });
    await expect(registry.manifest(REFERENCE)).rejects.toMatchObject({ kind: 'PermissionDenied' });
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(registry.manifest(REFERENCE, aborted)).rejects.toThrow('enough');
  });

  it('tells each host its own secrets, and no other', async () => {
    const [first, second, elsewhere] = [await mirror(), await mirror(), await mirror()];
    first.auth = { kind: 'bearer', username: 'one', password: 'secret-1' };
    second.auth = { kind: 'basic', username: 'two', password: 'secret-2' };
    first.blobs.clear();
    const asked: string[] = [];
    const registry = at(
      [hostOf(first, { headers: { 'x-key': 'key-1' } }), hostOf(second, { headers: { 'x-key': 'key-2' } })],
      async ({ host }) => {
        asked.push(host);
        const [username, password] = host === first.host ? ['one', 'secret-1'] : ['two', 'secret-2'];
        return { kind: 'password', username, password };
      },
    );
    expect((await registry.manifest(REFERENCE)).bytes).toEqual(MANIFEST.bytes);
    const moved = `/v2/a/b/blobs/${BLOB.digest}`;
    second.fail(moved, { status: 401, headers: { 'www-authenticate': 'Basic realm="test"' } });
    second.fail(moved, { status: 307, headers: { location: `http://${elsewhere.host}${moved}` } });
    expect(await read(registry)).toEqual(BYTES);
    expect(asked).toEqual([first.host, second.host]);
    const keys = (of: FakeRegistry) => new Set(of.requests.map(({ headers }) => headers['x-key']));
    // The token server is at the first one's own address, and no part of the registry.
    expect(keys(first)).toEqual(new Set(['key-1', undefined]));
    expect(keys(second)).toEqual(new Set(['key-2']));
    expect(elsewhere.requests.map(({ authorization, headers }) => [authorization, headers['x-key']])).toEqual(
      [[undefined, undefined]],
    );
    const words = (of: FakeRegistry) => of.requests.map(({ authorization }) => authorization ?? '').join();
    expect(words(first)).not.toContain(Buffer.from('two:secret-2').toString('base64'));
    expect(words(second)).not.toContain(Buffer.from('one:secret-1').toString('base64'));
  });

  it('trusts who it is told to, and shows itself', async () => {
    const directory = scratchDirectory();
    const { tlsCert, tlsKey, tlsCa } = new TestAuthority(directory).issueFor(['IP:127.0.0.1'], 'registry');
    const [cert, key, ca] = [tlsCert, tlsKey, tlsCa].map((path) => readFileSync(path, 'utf8')) as [
      string,
      string,
      string,
    ];
    const registry = await FakeRegistry.start({ cert, key, ca, requestCert: true, rejectUnauthorized: true });
    registry.manifests.set('a/b:1', MANIFEST);
    const host = { ...plainRegistryHost(registry.host), endpoint: `https://${registry.host}/v2` };
    const clients = [{ cert, key }];
    const ask = (more: Partial<RegistryHost>) =>
      // Where there is another to ask, nobody tries long.
      at([
        { ...host, ...more },
        { ...host, capabilities: new Set(['push']) },
      ]).manifest(REFERENCE);
    expect((await ask({ ca: [ca], clients })).bytes).toEqual(MANIFEST.bytes);
    expect((await ask({ skipsVerification: true, clients })).bytes).toEqual(MANIFEST.bytes);
    await expect(ask({ clients })).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(ask({ ca: [ca] })).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('puts images to the first host that takes them, below its own path', async () => {
    const [first, second] = [await mirror(), await FakeRegistry.start()];
    const registry = at([
      hostOf(first, { capabilities: new Set(['pull', 'resolve']) }),
      hostOf(second, { endpoint: `http://${second.host}/v2/project` }),
    ]);
    const pusher = registry.pusher();
    const open = async function* () {
      yield BYTES;
    };
    expect(await pusher.upload(REFERENCE, { descriptor: BLOB, open })).toBe('uploaded');
    expect(second.blobs.get(BLOB.digest)).toEqual(BYTES);
    expect(second.requests.map(({ method, path }) => `${method} ${path.replace(/\?.*/, '')}`)).toEqual([
      `HEAD /v2/project/a/b/blobs/${BLOB.digest}`,
      'POST /v2/project/a/b/blobs/uploads/',
      'PUT /v2/project/a/b/blobs/uploads/1',
    ]);
    expect(first.requests).toEqual([]);
  });
});
