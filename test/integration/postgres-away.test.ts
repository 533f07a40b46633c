import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Postgres, startPostgres } from '@longshore/local';
import { digestOf } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const inDefault = { headers: { [Header.Namespace]: 'default' } };

let directory: string;
let postgres: Postgres;
let stack: Stack;
let busybox: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'longshore-test-away-'));
  postgres = await startPostgres(directory, { durable: false });
  stack = await startStack({ databaseUrl: postgres.url });
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
  await stack.ctr.ok(['run', '-d', busybox, 'steady', 'sleep', '1000']);
});
afterAll(async () => {
  await stack?.close();
  await postgres?.close();
  await rm(directory, { recursive: true, force: true });
});

describe('while Postgres is away', () => {
  it('changes fail at once as unavailable, reads and tasks go on, and all heals when it is back', async () => {
    const { ctr } = stack;
    const [manifest = ''] = (await ctr.ok(['content', 'ls', '-q'])).split('\n');
    await cutInMidChange(manifest);

    const writes = [
      ['namespaces', 'create', 'refused'],
      ['containers', 'create', busybox, 'refused'],
      ['image', 'tag', busybox, 'example.test/refused:1'],
      ['snapshot', 'prepare', 'refused'],
      ['leases', 'create', '--id', 'refused'],
    ];
    for (const args of writes) {
      const started = performance.now();
      const { code, stderr } = await ctr.run(args);
      expect({ args, code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/unavailable/i),
      });
      expect([args, performance.now() - started < 5_000]).toEqual([args, true]);
    }

    expect(await health('healthz')).toEqual([200, 'ok\n']);
    expect(await health('readyz')).toEqual([503, expect.stringMatching(/^database: connect .*\n$/)]);

    // The copy is in doubt, and nobody can say better.
    expect(await ctr.ok(['container', 'ls', '-q'])).toBe('steady\n');
    expect(JSON.parse(await ctr.ok(['container', 'info', 'steady'])).ID).toBe('steady');
    expect((await ctr.run(['container', 'info', 'refused'])).stderr).toContain('not found');
    expect(await ctr.ok(['image', 'ls', '-q'])).toBe(`${busybox}\n`);
    expect(await ctr.ok(['content', 'ls', '-q'])).toContain(manifest);
    expect(await ctr.ok(['namespaces', 'ls', '-q'])).toBe('default\n');
    expect(await ctr.ok(['snapshot', 'ls'])).toMatch(/^steady .*Active/m);
    expect(await ctr.ok(['snapshot', 'mounts', '/nowhere', 'steady'])).toContain('lowerdir=');
    expect(await ctr.ok(['task', 'ls'])).toMatch(/^steady\s+\d+\s+RUNNING/m);
    expect((await ctr.run(['task', 'kill', 'nobody'])).stderr).toContain('not found');
    const exec = ['task', 'exec', '--exec-id', 'e', 'steady', 'echo', 'inside'];
    expect(await ctr.ok(exec)).toBe('inside\n');
    await ctr.ok(['task', 'kill', '-s', 'KILL', 'steady']);
    const hasEnded = async () => /^steady\s+\d+\s+STOPPED/m.test(await ctr.ok(['task', 'ls']));
    expect(await waitUntil(hasEnded)).toBe(true);

    postgres = await startPostgres(directory, { durable: false });
    const canWrite = async () => (await ctr.run(['namespaces', 'create', 'healed'])).code === 0;
    expect(await waitUntil(canWrite, 30_000)).toBe(true);
    expect(await ctr.ok(['run', '--rm', busybox, 'again', 'echo', 'back'])).toBe('back\n');
    expect(await health('readyz')).toEqual([200, 'ok\n']);
    expect(stack.reports).toEqual([]);
  });

  it('an ingest that is under way keeps what was durable, and is resumed when Postgres is back', async () => {
    using undo = new DisposableStack();
    const channel = undo.adopt(new Channel(`unix://${stack.socket}`), (opened) => opened.close());
    const content = createClient(Content, channel);
    const blob = randomBytes(3_000_000);
    const [ref, total, expected] = ['half', BigInt(blob.length), digestOf(blob)];
    const asked = Promise.withResolvers<void>();
    async function* begin() {
      yield { action: WriteAction.WRITE, ref, total, expected, data: blob.subarray(0, 1_000_000) };
      yield {};
      await asked.promise;
      await postgres.close();
      yield { action: WriteAction.WRITE, offset: 1_000_000n, data: blob.subarray(1_000_000, 2_000_000) };
      yield {
        action: WriteAction.COMMIT,
        offset: 2_000_000n,
        data: blob.subarray(2_000_000),
        total,
        expected,
      };
    }
    const answers = content.write(begin(), inDefault);
    const offsets: bigint[] = [];
    const fails = async () => {
      for await (const { offset, action } of answers) {
        offsets.push(offset);
        if (action === WriteAction.STAT) asked.resolve();
      }
    };
    await expect(fails()).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(offsets.slice(0, 2)).toEqual([1_000_000n, 1_000_000n]);

    postgres = await startPostgres(directory, { durable: false });
    let kept = 0n;
    const resume = async () => {
      const opened = Promise.withResolvers<bigint>();
      async function* rest() {
        yield { ref, total, expected };
        kept = await opened.promise;
        yield {
          action: WriteAction.COMMIT,
          offset: kept,
          data: blob.subarray(Number(kept)),
          total,
          expected,
        };
      }
      for await (const { offset } of content.write(rest(), inDefault)) opened.resolve(offset);
      return true;
    };
    // Until its lock has run out, the ref is the first writer's, who could not give it back.
    expect(await waitUntil(() => resume().catch(() => false), 30_000)).toBe(true);
    expect(kept).toBeGreaterThanOrEqual(1_000_000n);
    const chunks: Uint8Array[] = [];
    for await (const { data } of content.read({ digest: expected }, inDefault)) chunks.push(data);
    expect(Buffer.concat(chunks).equals(blob)).toBe(true);
  });
});

/** What the runtime service says of itself. */
async function health(path: string): Promise<[status: number, text: string]> {
  const { addresses } = JSON.parse(await readFile(join(stack.state, 'runtime.json'), 'utf8'));
  const response = await fetch(new URL(path, addresses.metrics));
  return [response.status, await response.text()];
}

/** Postgres goes while changes of each kind are under way whose callers have gone: the agent's copy does not know what they did. */
async function cutInMidChange(digest: string): Promise<void> {
  const { ctr } = stack;
  const changes = {
    'content.contents': ['content', 'label', digest, 'cut=1'],
    'image.images': ['image', 'label', busybox, 'cut=1'],
    'runtime.containers': ['containers', 'label', 'steady', 'cut=1'],
    'snapshot.snapshots': ['snapshot', 'label', 'steady', 'cut=1'],
  };
  const client = new pg.Client({ connectionString: postgres.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE ${Object.keys(changes).join()} IN ACCESS EXCLUSIVE MODE`);
  const callers = Object.values(changes).map((args) => ctr.start(args));
  const waiting = 'SELECT DISTINCT relation::regclass::text AS name FROM pg_locks WHERE NOT granted';
  const areWaiting = async () =>
    (await client.query(waiting)).rows.filter(({ name }) => name in changes).length === callers.length;
  expect(await waitUntil(areWaiting, 4_000)).toBe(true);
  await Promise.all(callers.map((caller) => [once(caller, 'exit'), caller.kill('SIGKILL')][0]));
  await postgres.close();
  await client.end().catch(() => undefined);
}
