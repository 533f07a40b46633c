import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { makeImage, pushImage } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CtrOptions } from '../harness/ctr.ts';
import { pushTestImages, type TestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';

let stack: Stack;
let images: TestImages;

beforeAll(async () => {
  stack = await startStack();
  images = await pushTestImages(stack.registry);
});
afterAll(() => stack?.close());

const pull = (reference: string) => stack.ctr.ok(['image', 'pull', '--plain-http', reference]);

/** Lines of a table without its heading, each split at white space. */
function rows(table: string): string[][] {
  const lines = table.trim().split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/));
}

describe('ctr version, plugins', () => {
  it('shows the server beside the client', async () => {
    expect(await stack.ctr.ok(['version'])).toMatch(
      /Server:\n\s+Version:\s+\d+\.\d+\.\d+\n.*\n\s+UUID: [0-9a-f-]{36}/,
    );
  });

  it('lists what is served as ok, and says what is not', async () => {
    const plugins = rows(await stack.ctr.ok(['plugins', 'ls']));
    const statusOf = (id: string) => plugins.find((columns) => columns[1] === id)?.at(-1);
    expect(statusOf('overlayfs')).toBe('ok');
    expect(statusOf('tasks')).toBe('ok');
    expect(statusOf('transfer')).toBe('ok');
    expect(statusOf('mounts')).toBe('error');
  });
});

describe('ctr install', () => {
  it('brings a runtime, which containers can be run with at once', async () => {
    const shim = {
      path: 'bin/containerd-shim-installed-v2',
      type: 'file',
      mode: 0o755,
      content: '#!/bin/sh\nexec containerd-shim-runc-v2 "$@"\n',
    } as const;
    await pushImage(stack.registry.host, 'test/runtime', '1', makeImage({ layers: [[shim]] }));
    const reference = `${stack.registry.host}/test/runtime:1`;
    for (const image of [reference, images.busybox]) await pull(image);
    const run = [
      'run',
      '--rm',
      '--runtime',
      'io.acme.installed.v2',
      images.busybox,
      'installed',
      'echo',
      'hello',
    ];
    expect((await stack.ctr.run(run)).stderr).toMatch(/binary not installed "containerd-shim-installed-v2"/);
    await stack.ctr.ok(['install', reference]);
    expect(await stack.ctr.ok(run)).toBe('hello\n');
    await stack.ctr.ok(['image', 'rm', reference]);
  });
});

describe('ctr namespaces', () => {
  it('creates, labels, lists and removes', async () => {
    await stack.ctr.ok(['namespaces', 'create', 'team-a', 'owner=ann']);
    await stack.ctr.ok(['namespaces', 'label', 'team-a', 'tier=gold']);
    const listed = await stack.ctr.ok(['namespaces', 'ls']);
    expect(listed).toMatch(/team-a\s+owner=ann,tier=gold/);
    await stack.ctr.ok(['namespaces', 'remove', 'team-a']);
    expect(await stack.ctr.ok(['namespaces', 'ls', '-q'])).not.toContain('team-a');
  });

  it('refuses to remove one that holds something', async () => {
    await stack.ctr.ok(['image', 'pull', '--plain-http', images.busybox], { namespace: 'full' });
    const { code, stderr } = await stack.ctr.run(['namespaces', 'remove', 'full']);
    expect(code).not.toBe(0);
    expect(stderr).toContain('must be empty');
    await stack.ctr.ok(['image', 'rm', '--sync', images.busybox], { namespace: 'full' });
  });
});

describe('ctr image', () => {
  it('pulls one layer and lists the image', async () => {
    expect(await pull(images.busybox)).toContain('done');
    const row = rows(await stack.ctr.ok(['image', 'ls'])).find(([name]) => name === images.busybox);
    expect(row?.[2]).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('pulls many layers, whose whiteouts hide what lies below', async () => {
    await pull(images.layered);
    const script = 'cat /data/kept; ls /data /opaque';
    const output = await stack.ctr.ok(['run', '--rm', images.layered, 'layers', 'sh', '-c', script]);
    expect(output).toBe('changed\n/data:\nkept\n\n/opaque:\nabove\n');
  });

  it("pulls this machine's platform out of an index", async () => {
    await pull(images.index);
    const [row] = rows(await stack.ctr.ok(['image', 'ls', `name==${images.index}`]));
    expect(row?.join(' ')).toContain('linux/amd64,linux/arm64,linux/s390x');
    expect(await stack.ctr.ok(['run', '--rm', images.index, 'from-index', 'echo', 'hello'])).toBe('hello\n');
  });

  it('pulls again what is there, without asking for a blob', async () => {
    await pull(images.busybox);
    stack.registry.forgetRequests();
    await pull(images.busybox);
    expect(stack.registry.requests().filter(({ path }) => path.includes('/blobs/'))).toEqual([]);
  });

  it('tags and removes', async () => {
    await pull(images.busybox);
    await stack.ctr.ok(['image', 'tag', images.busybox, 'example.com/other:2']);
    expect(await stack.ctr.ok(['image', 'ls', '-q'])).toContain('example.com/other:2');
    await stack.ctr.ok(['image', 'rm', 'example.com/other:2']);
    expect(await stack.ctr.ok(['image', 'ls', '-q'])).not.toContain('example.com/other:2');
  });

  it('removed for good, takes its blobs and snapshots with it', async () => {
    const options = { namespace: 'removal' };
    await stack.ctr.ok(['image', 'pull', '--plain-http', images.layered], options);
    expect(rows(await stack.ctr.ok(['snapshot', 'ls'], options))).toHaveLength(4);
    await stack.ctr.ok(['image', 'rm', '--sync', images.layered], options);
    expect(await stack.ctr.ok(['content', 'ls', '-q'], options)).toBe('');
    expect(rows(await stack.ctr.ok(['snapshot', 'ls'], options))).toEqual([]);
  });
});

describe('ctr content, snapshot', () => {
  it('lists blobs and gives their very bytes', async () => {
    await pull(images.busybox);
    const digests = (await stack.ctr.ok(['content', 'ls', '-q'])).trim().split('\n');
    expect(digests.length).toBeGreaterThanOrEqual(3);
    for (const digest of digests) {
      const get = stack.ctr.start(['content', 'get', digest]);
      const bytes = await buffer(get.stdout!);
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
    }
  });

  it('lists snapshots, draws their tree and gives their mounts', async () => {
    await pull(images.layered);
    const snapshots = rows(await stack.ctr.ok(['snapshot', 'ls']));
    const top = snapshots.find(([key]) => !snapshots.some(([, parent]) => parent === key))![0]!;
    await stack.ctr.ok(['snapshot', 'prepare', 'writable', top]);
    expect(await stack.ctr.ok(['snapshot', 'tree'])).toMatch(new RegExp(`${top}\\n\\s+.*writable`));
    const mount = await stack.ctr.ok(['snapshot', 'mounts', '/mnt/x', 'writable']);
    expect(mount).toMatch(/^mount -t overlay overlay \/mnt\/x -o .*workdir=.*upperdir=.*lowerdir=/);
    await stack.ctr.ok(['snapshot', 'rm', 'writable']);
  });
});

describe('a blob whose file is damaged', () => {
  /** The file of a blob. */
  async function fileOf(digest: string): Promise<string> {
    const hex = digest.slice('sha256:'.length);
    const directory = join(stack.root, 'content/blobs/sha256', hex.slice(0, 2), hex);
    const generations = await readdir(directory);
    const changed = await Promise.all(
      generations.map(async (name) => (await stat(join(directory, name))).ctimeMs),
    );
    return join(directory, generations[changed.indexOf(Math.max(...changed))]!);
  }

  async function flipByte(path: string): Promise<void> {
    await using file = await open(path, 'r+');
    const at = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([byte[0]! ^ 0xff]), 0, 1, at);
  }

  async function get(digest: string, options: CtrOptions) {
    const child = stack.ctr.start(['content', 'get', digest], options);
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const [bytes, stderr] = await Promise.all([buffer(child.stdout!), text(child.stderr!)]);
    return { code: await exited, bytes, stderr };
  }

  async function ingest(bytes: Buffer, digest: string, options: CtrOptions): Promise<void> {
    const child = stack.ctr.start(['content', 'ingest', '--expected-digest', digest, 'damaged'], options);
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.stdin!.end(bytes);
    expect(await exited).toBe(0);
  }

  it('is not given out as if it were whole, and can be stored anew', async () => {
    const bytes = randomBytes(3_000_000);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    // Nothing refers to it: it stays where nothing is deleted, which would have the namespace collected.
    const alone = { namespace: 'damaged' };
    await ingest(bytes, digest, alone);
    await flipByte(await fileOf(digest));
    const damaged = await get(digest, alone);
    expect(damaged).toMatchObject({ code: 1, stderr: expect.stringMatching(/data loss/) });
    expect(damaged.bytes.length).toBeLessThan(bytes.length);
    await ingest(bytes, digest, alone);
    const healed = await get(digest, alone);
    expect(healed).toMatchObject({ code: 0, stderr: '' });
    expect(healed.bytes.equals(bytes)).toBe(true);
  });

  it('is not unpacked, and the next pull fetches it anew, for all namespaces', async () => {
    const args = ['image', 'pull', '--plain-http', images.busybox];
    const whole = { namespace: 'whole' };
    await stack.ctr.ok(args, whole);
    const layers = await stack.ctr.ok(['content', 'ls', 'labels."containerd.io/uncompressed"'], whole);
    const [[digest]] = rows(layers) as [[string]];
    await flipByte(await fileOf(digest));
    const options = { namespace: 'unpacks' };
    const { code, stderr } = await stack.ctr.run(args, options);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/data loss|invalid argument/);
    stack.registry.forgetRequests();
    await stack.ctr.ok(args, options);
    const fetched = stack.registry.requests().filter(({ path }) => path.endsWith(`/blobs/${digest}`));
    expect(fetched.length).toBeGreaterThan(0);
    const run = ['run', '--rm', images.busybox, 'healed', 'echo', 'hello'];
    expect(await stack.ctr.ok(run, options)).toBe('hello\n');
    expect((await get(digest, whole)).code).toBe(0);
  });
});
