import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unmountRecursive } from '@longshore/linux';
import { makeBusyboxImage, pushImage, toolchain } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountedRegistry, startCountedRegistry } from '../harness/counted-registry.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const BOOTSTRAP = fileURLToPath(new URL('../../deploy/local/bootstrap.mjs', import.meta.url));
/** Twice that: the file does not compress well. */
const BIG_FILE_BYTES = 8_000_000;

const undo = new AsyncDisposableStack();
let stack: Stack;
let registry: CountedRegistry;
let bin: string;

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [BOOTSTRAP, 'soci']);
  bin = join((await toolchain()).cache, 'debs/soci/usr/bin');
  const directory = await mkdtemp(join(tmpdir(), 'longshore-lazy-'));
  undo.defer(async () => {
    // A snapshotter that has ended has no part in its mounts any more.
    await unmountRecursive(directory);
    await rm(directory, { recursive: true });
  });
  const address = join(directory, 'soci.sock');
  stack = undo.use(await startStack({ env: { LONGSHORE_PROXY_SNAPSHOTTERS: `soci=${address}` } }));
  registry = undo.use(await startCountedRegistry(stack.registry, directory));
  await startSnapshotter(directory, address);
});

afterAll(() => undo.disposeAsync());

/** Debian's soci-snapshotter, with all that it has below a directory. */
async function startSnapshotter(directory: string, address: string): Promise<void> {
  const config = join(directory, 'config.toml');
  await writeFile(config, 'no_prometheus = true\n');
  const root = join(directory, 'root');
  await mkdir(root);
  const env = { ...process.env, SSL_CERT_FILE: registry.caFile };
  const args = ['--address', address, '--root', root, '--config', config];
  const server = spawn(join(bin, 'soci-snapshotter-grpc'), args, { env, stdio: 'ignore' });
  undo.defer(async () => {
    const ended = once(server, 'exit');
    server.kill();
    await ended;
  });
  if (!(await waitUntil(() => existsSync(address)))) throw new Error('the snapshotter does not listen');
}

/** Its client, which keeps what it knows in /var/lib: elsewhere for this command. */
async function soci(namespace: string, ...commands: string[][]): Promise<void> {
  const program = [join(bin, 'soci'), '-a', stack.socket, '-n', namespace].join(' ');
  const lines = commands.map((words) => `${program} ${words.join(' ')}`);
  const script = ['mount -t tmpfs tmpfs /var/lib', ...lines].join(' && ');
  await promisify(execFile)('unshare', ['--mount', 'sh', '-c', script]);
}

describe('an image of a remote snapshotter', () => {
  it('runs before its layers were fetched, which then have no content here', async () => {
    const layer = [
      { path: 'data/', type: 'directory' },
      { path: 'data/small', type: 'file', content: 'small\n' },
      { path: 'data/big', type: 'file', content: randomBytes(BIG_FILE_BYTES).toString('hex') },
    ] as const;
    const image = await pushImage(
      registry.host,
      'test/lazy',
      '1',
      await makeBusyboxImage({ layers: [layer] }),
    );
    // The index of what is where in the layers, beside the image in the registry.
    await stack.ctr.ok(['-n', 'maker', 'image', 'pull', '--plain-http', image]);
    const create = ['create', '--min-layer-size', '0', '--span-size', '1048576', image];
    await soci('maker', create, ['push', '--plain-http', image]);
    registry.takeRequests();

    await soci('lazy', ['image', 'rpull', '--plain-http', '--snapshotter', 'soci', image]);
    const snapshots = await stack.ctr.ok(['-n', 'lazy', 'snapshots', '--snapshotter', 'soci', 'ls']);
    expect(snapshots.match(/Committed/g)).toHaveLength(2);
    expect(await stack.ctr.ok(['-n', 'lazy', 'content', 'ls', '-q'])).not.toMatch(/(\S+\s+){3}/);
    const script = 'cat /data/small && echo new > /data/big && cat /data/big';
    const run = [
      '-n',
      'lazy',
      'run',
      '--rm',
      '--snapshotter',
      'soci',
      image,
      'lazy',
      'sh',
      '-c',
      'cat /data/small',
    ];
    expect(await stack.ctr.ok(run)).toBe('small\n');
    const fetched = registry.takeRequests().reduce((sum, { bytes }) => sum + bytes, 0);
    expect(fetched).toBeLessThan(BIG_FILE_BYTES / 2);

    const write = ['-n', 'lazy', 'run', '--rm', '--snapshotter', 'soci', image, 'write', 'sh', '-c', script];
    expect(await stack.ctr.ok(write)).toBe('small\nnew\n');
    await stack.ctr.ok(['-n', 'lazy', 'image', 'rm', '--sync', image]);
    const none = async () =>
      !(await stack.ctr.ok(['-n', 'lazy', 'snapshots', '--snapshotter', 'soci', 'ls'])).includes('sha256');
    expect(await waitUntil(none)).toBe(true);
  });
});
