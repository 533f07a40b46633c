import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  AT_FDCWD,
  FileType,
  lsetxattr,
  type Mount,
  makeDevice,
  mknodat,
  mountAll,
  readMountInfo,
  unmount,
  utimensat,
} from '@longshore/linux';
import { digestOf, MediaType } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { clearMountPoints } from '../mount-points.ts';
import { applyHere, describeTree, Scratch } from '../testing/layers.ts';
import { type CompareRequest, LayerComparer } from './layer-comparer.ts';

// Each comparison starts a thread, which takes long on a busy machine.
vi.setConfig({ testTimeout: 30_000 });

let scratch: Scratch;
let comparer: LayerComparer;
let temp: string;
let lower: string;
let upper: string;

beforeEach(() => {
  scratch = new Scratch();
  temp = scratch.directory('temp');
  lower = scratch.directory('lower');
  upper = scratch.directory('upper');
  comparer = new LayerComparer({ tempDirectory: temp });
});

afterEach(async () => {
  await comparer.close();
  expect(readdirSync(temp)).toEqual([]);
  expect(readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(temp))).toEqual([]);
  await scratch.remove();
});

const bind = (source: string): Mount => ({ type: 'bind', source, options: ['rbind', 'rw'] });

/** The snapshot's mounts, as its snapshotter gives them. */
function overlay(): Mount {
  const options = [`workdir=${scratch.directory('work')}`, `upperdir=${upper}`, `lowerdir=${lower}`];
  return { type: 'overlay', source: 'overlay', options: ['index=off', ...options] };
}

async function compare(more: Partial<CompareRequest> = {}, onChunk: () => void = () => {}) {
  const request = {
    lower: [bind(lower)],
    upper: [overlay()],
    mediaType: MediaType.OciLayer,
    signal: new AbortController().signal,
    ...more,
  };
  return comparer.compare(request, async ({ chunks, layer }) => {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) {
      parts.push(chunk);
      onChunk();
    }
    const bytes = Buffer.concat(parts);
    const made = await layer;
    expect(made).toMatchObject({ digest: digestOf(bytes), sizeBytes: bytes.length });
    return { bytes, ...made };
  });
}

function listed(archive: Buffer): string[] {
  return execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' }).split('\n').filter(Boolean);
}

/** Layers have whole seconds. */
function settle(root: string): void {
  for (const path of readdirSync(root, { recursive: true, encoding: 'latin1' as 'utf8' })) {
    const time = { seconds: 1_700_000_000 + path.length, nanoseconds: 0 };
    utimensat(AT_FDCWD, Buffer.from(join(root, path), 'latin1'), time, time);
  }
}

function fillLower(): void {
  for (const name of ['kept/deep', 'gone/below', 'emptied', 'renewed/below', 'to-file', 'moved']) {
    mkdirSync(join(lower, name), { recursive: true });
    writeFileSync(join(lower, name, 'file'), `lower ${name}`);
  }
  for (const name of ['changed', 'deleted', 'touched', 'same-size', 'linked', 'to-directory']) {
    writeFileSync(join(lower, name), `lower ${name}`);
  }
  writeFileSync(join(lower, 'renewed/file'), 'hidden by what takes the place of its directory');
  linkSync(join(lower, 'linked'), join(lower, 'kept/linked-too'));
  settle(lower);
}

/** What a container does, through the overlay that it sees. */
async function changeUpper(): Promise<void> {
  const merged = scratch.directory('merged');
  await mountAll([overlay()], merged);
  const at = (name: string) => join(merged, name);
  writeFileSync(at('changed'), 'longer than it was before');
  writeFileSync(at('same-size'), 'LOWER same-size');
  chmodSync(at('touched'), 0o4711);
  for (const name of ['deleted', 'gone', 'emptied/file', 'renewed', 'to-file', 'to-directory']) {
    rmSync(at(name), { recursive: true });
  }
  writeFileSync(at('to-file'), 'a file');
  for (const name of ['renewed/below', 'to-directory/new', 'added']) mkdirSync(at(name), { recursive: true });
  writeFileSync(at('renewed/below/new'), 'new');
  chmodSync(at('kept/deep/file'), 0o600);
  linkSync(at('linked'), at('added/linked-three'));
  writeFileSync(at('added/a'), 'two names');
  linkSync(at('added/a'), at('added/b'));
  symlinkSync('/etc/passwd', at('added/symlink'));
  symlinkSync('x'.repeat(200), at('added/long-symlink'));
  writeFileSync(at(`added/${'n'.repeat(255)}`), 'long name');
  writeFileSync(Buffer.concat([Buffer.from(at('added/')), Buffer.from([0xe4, 0xff])]), 'no UTF-8');
  writeFileSync(at('added/.hidden\nline'), 'newline');
  writeFileSync(at('added/holes'), 'start');
  truncateSync(at('added/holes'), 300_000);
  mknodat(AT_FDCWD, at('added/null'), FileType.Character | 0o666, makeDevice(1, 3));
  mknodat(AT_FDCWD, at('added/disk'), FileType.Block | 0o660, makeDevice(259, 300));
  mknodat(AT_FDCWD, at('added/pipe'), FileType.Fifo | 0o620, 0);
  writeFileSync(at('added/capable'), 'x', { mode: 0o755 });
  lsetxattr(
    at('added/capable'),
    'security.capability',
    Buffer.from('0100000200040000000000000000000000000000', 'hex'),
  );
  lsetxattr(at('added'), 'user.note', Buffer.from([0, 0xff, 10]));
  mknodat(AT_FDCWD, at('added/socket'), FileType.Socket | 0o600, 0);
  settle(merged);
  await unmount(merged);
}

/** The upper tree, without what no layer holds. */
async function upperTree(): Promise<Record<string, unknown>> {
  const merged = scratch.directory('merged');
  await mountAll([overlay()], merged);
  const { 'added/socket': _, ...tree } = describeTree(merged);
  await unmount(merged);
  return tree;
}

describe('LayerComparer', () => {
  it('makes the layer that leads from the lower tree to the upper one, whichever way it walks', async () => {
    fillLower();
    await changeUpper();
    const expected = await upperTree();
    const { bytes, diffId, digest } = await compare();
    expect(diffId).toBe(digest);
    const merged = scratch.directory('merged');
    await mountAll([overlay()], merged);
    const walkedBoth = await compare({ upper: [bind(merged)] });
    await unmount(merged);
    expect(listed(walkedBoth.bytes)).toEqual(listed(bytes));
    expect(walkedBoth.digest).toBe(digest);

    const copy = scratch.directory('copy');
    cpSync(lower, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    rmSync(join(copy, 'kept/linked-too'));
    linkSync(join(copy, 'linked'), join(copy, 'kept/linked-too'));
    await applyHere({ kind: 'directory', path: copy }, bytes);
    // A directory that only leads to changes has the time of the layer, and one that was copied its copy's.
    const comparable = (tree: Record<string, unknown>) =>
      Object.entries(tree).map(([path, about]) => {
        const isDirectory = (about as { size?: number }).size === undefined;
        return [path, isDirectory ? { ...(about as object), mtime: undefined } : about];
      });
    expect(comparable(describeTree(copy))).toEqual(comparable(expected));
  });

  it('lists whiteouts before what comes after them, and no more than what has changed', async () => {
    fillLower();
    await changeUpper();
    const names = listed((await compare()).bytes);
    expect(names.filter((name) => !name.startsWith('added/'))).toEqual([
      'changed',
      '.wh.deleted',
      'emptied/',
      'emptied/.wh.file',
      '.wh.gone',
      'kept/',
      'kept/deep/',
      'kept/deep/file',
      'linked',
      'renewed/',
      'renewed/below/',
      'renewed/below/.wh.file',
      'renewed/below/new',
      'renewed/.wh.file',
      'same-size',
      'to-directory/',
      'to-directory/new/',
      'to-file',
      'touched',
    ]);
    expect(names.some((name) => name.includes('socket'))).toBe(false);
  });

  it('makes an empty archive where nothing has changed, or nothing is there', async () => {
    fillLower();
    expect((await compare()).bytes).toEqual(Buffer.alloc(1024));
    expect((await compare({ lower: [], upper: [] })).bytes).toEqual(Buffer.alloc(1024));
    expect((await compare({ lower: [bind(lower)], upper: [bind(lower)] })).bytes).toEqual(Buffer.alloc(1024));
  });

  it.each([
    ['', gunzipSync],
    [MediaType.OciLayerGzip, gunzipSync],
    [MediaType.OciLayerZstd, zstdDecompressSync],
  ] as const)(
    'makes the same bytes twice in the form %j, and tells of the archive in it',
    async (mediaType, unpack) => {
      writeFileSync(join(upper, 'file'), 'x'.repeat(1_000_000));
      const first = await compare({ mediaType });
      expect(await compare({ mediaType })).toEqual(first);
      const tar = unpack(first.bytes);
      expect(first.diffId).toBe(digestOf(tar));
      expect(listed(tar)).toEqual(['file']);
    },
  );

  it('refuses forms that are none of a layer', async () => {
    await expect(compare({ mediaType: MediaType.DockerLayerGzip })).rejects.toMatchObject({
      kind: 'Unimplemented',
      message: expect.stringContaining(`unsupported diff media type: ${MediaType.DockerLayerGzip}`),
    });
  });

  it('bounds times as it is told', async () => {
    for (const [name, seconds] of [
      ['early', 1000],
      ['late', 3000],
    ] as const) {
      writeFileSync(join(upper, name), name);
      utimensat(AT_FDCWD, join(upper, name), { seconds, nanoseconds: 5 }, { seconds, nanoseconds: 5 });
    }
    const { bytes } = await compare({ sourceDateEpochSeconds: 2000 });
    const copy = scratch.directory('copy');
    await applyHere({ kind: 'directory', path: copy }, bytes);
    expect(describeTree(copy)).toMatchObject({ early: { mtime: '1000.0' }, late: { mtime: '2000.0' } });
  });
});

/** Longer than what is sent ahead, so that what comes after it is read once the test goes on. */
const LONG = Buffer.alloc(24 * 2 ** 20, 'long');

describe('LayerComparer while the upper tree is written to', () => {
  beforeEach(() => writeFileSync(join(upper, 'a-long'), LONG));

  function once(act: () => void): () => void {
    let done = false;
    return () => {
      if (!done) act();
      done = true;
    };
  }

  it('takes what a file had, and not what is appended', async () => {
    const { bytes } = await compare(
      {},
      once(() => appendFileSync(join(upper, 'a-long'), 'more')),
    );
    expect(bytes.length).toBe(512 + LONG.length + 1024);
  });

  it('fails for a file that is cut, and says which', async () => {
    const cut = once(() => truncateSync(join(upper, 'a-long'), 1000));
    await expect(compare({}, cut)).rejects.toMatchObject({
      kind: 'Aborted',
      message: expect.stringContaining('file "a-long" has changed while it was read'),
    });
  });

  it('follows no symlink that takes the place of a directory or a file', async () => {
    const outside = scratch.directory('outside');
    writeFileSync(join(outside, 'secret'), 'canary');
    mkdirSync(join(upper, 'z'));
    writeFileSync(join(upper, 'z/secret'), 'harmless');
    const swap = once(() => {
      renameSync(join(upper, 'z'), join(upper, 'y'));
      symlinkSync(outside, join(upper, 'z'));
    });
    const outcome = await compare({}, swap).catch((error: unknown) => error);
    if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: 'Aborted' });
    else expect((outcome as { bytes: Buffer }).bytes.includes('canary')).toBe(false);
  });

  it('ends with the reason of its signal, and leaves nothing', async () => {
    const abort = new AbortController();
    const reason = new Error('no longer wanted');
    await expect(compare({ signal: abort.signal }, () => abort.abort(reason))).rejects.toBe(reason);
    await expect(compare({ signal: abort.signal })).rejects.toBe(reason);
  });

  it('ends when it is closed', async () => {
    const closing = compare({}, () => void comparer.close());
    await expect(closing).rejects.toMatchObject({ kind: 'Unavailable' });
    await expect(compare()).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('fails with the error of who reads the layer', async () => {
    const refused = comparer.compare(
      { lower: [], upper: [overlay()], mediaType: '', signal: new AbortController().signal },
      () => Promise.reject(new Error('store is full')),
    );
    await expect(refused).rejects.toThrow('store is full');
  });
});

describe('LayerComparer in a process that is killed', () => {
  it('leaves mounts that the next process ends, and both trees as they were', async () => {
    writeFileSync(join(upper, 'a-long'), LONG);
    const before = describeTree(upper);
    const child = spawn(process.execPath, ['--input-type=module', '-e', KILLED], {
      env: { ...process.env, TEMP: temp, MOUNTS: JSON.stringify([overlay()]), TYPE: MediaType.OciLayer },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    const mounted = () => readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(temp));
    expect(mounted()).not.toEqual([]);
    await clearMountPoints(temp);
    expect(mounted()).toEqual([]);
    expect(readdirSync(temp)).toEqual([]);
    expect(describeTree(upper)).toEqual(before);
    expect(listed((await compare()).bytes)).toEqual(['a-long']);
  });
});

/** Begins to make a layer, says so, and goes no further. */
const KILLED = `
const { LayerComparer } = await import(${JSON.stringify(new URL('./layer-comparer.ts', import.meta.url).href)});
const comparer = new LayerComparer({ tempDirectory: process.env.TEMP });
const signal = new AbortController().signal;
const request = { lower: [], upper: JSON.parse(process.env.MOUNTS), mediaType: process.env.TYPE, signal };
await comparer.compare(request, async ({ chunks }) => {
  for await (const _ of chunks) {
    console.log('begun');
    await new Promise((resolve) => setTimeout(resolve, 1_000_000));
  }
});
`;
