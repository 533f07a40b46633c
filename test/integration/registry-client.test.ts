import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { guard, makeBusyboxImage, pushImage, type Registry, startRegistry } from '@longshore/local';
import { type Descriptor, encodedOf, type Manifest, parseReference } from '@longshore/oci';
import { type RegistryAccess, RegistryClient, RegistryTransport } from '@longshore/registry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitUntil } from '../harness/wait-until.ts';

/** alice, secret; bcrypt at its cheapest. */
const HTPASSWD = 'alice:$2b$04$HoeZkqfvELNkVaLjSqz6d.X.9a5btieirTPOee5cKzHqubjUC2vlC\n';
const layers = [0, 1, 2].map((n) => [
  { path: `file-${n}`, type: 'file' as const, content: randomBytes(1024 * 1024) },
]);

let directory: string;
let registry: Registry;
let transport: RegistryTransport;
let manifest: Manifest;

/** What was pushed while everyone could, asked for where only alice may. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-registry-'));
  guard().removeWithUs(directory);
  const image = await makeBusyboxImage({ layers });
  const open = await startRegistry(directory);
  await pushImage(open.host, 'private/tool', '1', image);
  await open.close();
  registry = await startRegistry(directory, { htpasswd: HTPASSWD });
  transport = new RegistryTransport({ retry: { initialDelayMs: 10, maxDelayMs: 20, attempts: 3 } });
  manifest = JSON.parse(image.manifests.get(image.root.digest)!.bytes.toString());
});
afterAll(async () => {
  await transport?.close();
  await registry?.close();
  await rm(directory, { recursive: true });
});

const reference = (tag = '1') => parseReference(`${registry.host}/private/tool:${tag}`);

function clientAs(username: string, password: string): RegistryClient {
  const access: RegistryAccess = { credentials: async () => ({ kind: 'password', username, password }) };
  return new RegistryClient(transport, registry.host, access);
}

function fileOf({ digest }: Descriptor): string {
  const hex = encodedOf(digest);
  return join(directory, 'data/docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
}

describe('RegistryClient against a real registry', () => {
  it('resolves, and reads manifests and blobs, from any offset', async () => {
    const client = clientAs('alice', 'secret');
    const { descriptor, bytes } = await client.manifest(reference());
    expect(await client.resolve(reference())).toEqual(descriptor);
    expect(JSON.parse(bytes.toString())).toEqual(manifest);
    const [, layer] = manifest.layers;
    const whole = await buffer(client.blob(reference(), layer!));
    expect(whole.length).toBe(layer!.size);
    const rest = await buffer(client.blob(reference(), layer!, { offsetBytes: 500_000 }));
    expect(rest.equals(whole.subarray(500_000))).toBe(true);
    const ranged = () => registry.requests().filter(({ status }) => status === 206);
    expect(await waitUntil(() => ranged().length === 1)).toBe(true);
  });

  it.each([
    ['a wrong password', () => clientAs('alice', 'wrong')],
    ['nobody', () => new RegistryClient(transport, registry.host)],
  ])('is refused as %s', async (_, client) => {
    await expect(client().manifest(reference())).rejects.toMatchObject({
      kind: 'Unauthenticated',
      message: expect.stringContaining('authentication required'),
    });
  });

  it('says what is not there', async () => {
    await expect(clientAs('alice', 'secret').manifest(reference('2'))).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining('manifest unknown'),
    });
  });

  it('takes no blob that the registry has broken', async () => {
    const [, broken, cut] = manifest.layers;
    await writeFile(fileOf(broken!), randomBytes(broken!.size));
    await truncate(fileOf(cut!), 1000);
    const client = clientAs('alice', 'secret');
    await expect(buffer(client.blob(reference(), broken!))).rejects.toMatchObject({ kind: 'DataLoss' });
    await expect(buffer(client.blob(reference(), cut!))).rejects.toMatchObject({
      message: expect.stringContaining(cut!.digest),
    });
  });
});
