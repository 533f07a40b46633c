import { createCipheriv, createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ServiceName } from '@longshore/local';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { residentMegabytes } from '../harness/resident-memory.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const GIGABYTES = Number(process.env.LONGSHORE_TEST_GIGABYTES ?? 10);
const BLOCK_BYTES = 1_000_000;
const BLOCKS = GIGABYTES * 1000;
/** Of one ingest, in each process that it passes. */
const MAX_GROWTH_MB = 32;
/** Of a client that reads 32 KiB a call: what is left of tens of thousands of calls, for 2 GB as for 10. */
const MAX_READ_GROWTH_MB = 128;
const SAMPLE_EVERY_MS = 200;
/** Makes another blob of the same blocks: what is stored is not sent again. */
const FIRST = Buffer.from('resumed');

let stack: Stack;

beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack?.close());

/** The same each time, and no two alike. */
function* blocksOf(count: number): Generator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK_BYTES);
  for (let n = 0; n < count; n++) yield cipher.update(zeros);
}

async function send(to: Writable, count: number, hash?: Hash): Promise<void> {
  for (const block of blocksOf(count)) {
    if (to.destroyed) return;
    hash?.update(block);
    if (!to.write(block)) await drainedOrClosed(to);
  }
}

/** Sends what is missing of an ingest that begins with {@link FIRST}, as a Go client does, and answers its digest. */
async function resume(ref: string): Promise<string> {
  using undo = new DisposableStack();
  const channel = undo.adopt(new Channel(`unix://${stack.socket}`), (opened) => opened.close());
  const hash = createHash('sha256').update(FIRST);
  let answered = Promise.withResolvers<bigint>();
  async function* requests() {
    yield { ref };
    const kept = await answered.promise;
    let offset = BigInt(FIRST.length);
    expect(kept).toBeGreaterThan(offset);
    for (const block of blocksOf(BLOCKS)) {
      hash.update(block);
      const end = offset + BigInt(block.length);
      const data = block.subarray(kept > offset ? Math.min(Number(kept - offset), block.length) : 0);
      if (data.length > 0) {
        answered = Promise.withResolvers();
        yield { action: WriteAction.WRITE, offset: end - BigInt(data.length), data };
        await answered.promise;
      }
      offset = end;
    }
    const expected = `sha256:${hash.copy().digest('hex')}`;
    yield { action: WriteAction.COMMIT, offset, total: offset, expected };
  }
  const options = { headers: { [Header.Namespace]: 'default' } };
  const answers = createClient(Content, channel).write(requests(), options);
  for await (const { offset } of answers) answered.resolve(offset);
  return `sha256:${hash.digest('hex')}`;
}

function drainedOrClosed(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      to.off('drain', done).off('close', done);
      resolve();
    };
    to.on('drain', done).on('close', done);
  });
}

/** What each process has at most until the work is over, above what it had before. */
async function growthDuring(names: readonly ServiceName[], work: () => Promise<unknown>) {
  const look = (name: ServiceName) => residentMegabytes(stack.services.pid(name));
  const before = new Map(names.map((name) => [name, look(name)]));
  const most = new Map(before);
  const timer = setInterval(() => {
    for (const name of names) most.set(name, Math.max(most.get(name)!, look(name)));
  }, SAMPLE_EVERY_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Object.fromEntries(names.map((name) => [name, most.get(name)! - before.get(name)!]));
}

function startIngest(ref: string) {
  const child = stack.ctr.start(['content', 'ingest', ref]);
  // It ends before it has read everything when the service goes away.
  child.stdin!.on('error', () => undefined);
  const said = text(child.stderr!);
  return { child, stdin: child.stdin!, said, ended: once(child, 'exit') };
}

async function sizeOf(digest: string): Promise<string | undefined> {
  const listed = await stack.ctr.ok(['content', 'ls']);
  return listed.split('\n').find((line) => line.startsWith(digest));
}

/** Of an ingest, in the unit that `ctr content active` chooses. */
async function received(ref: string): Promise<number> {
  const lines = (await stack.ctr.ok(['content', 'active'])).split('\n');
  const line = lines.find((each) => each.startsWith(ref));
  return Number.parseFloat(line?.split(/\s+/)[1] ?? '0');
}

describe(`an ingest of ${GIGABYTES} GB`, () => {
  let digest: string;

  it(`takes at most ${MAX_GROWTH_MB} MB of memory`, async () => {
    const hash = createHash('sha256');
    const growth = await growthDuring(['agent', 'content'], async () => {
      const { stdin, said, ended } = startIngest('large');
      await send(stdin, BLOCKS, hash);
      stdin.end();
      expect(await ended, await said).toEqual([0, null]);
    });
    digest = `sha256:${hash.digest('hex')}`;
    // A collection must not be in the way of what follows.
    await stack.ctr.ok(['content', 'label', digest, 'containerd.io/gc.root=yes']);
    console.log('memory in MB that came on top:', growth);
    for (const mb of Object.values(growth)) expect(mb).toBeLessThanOrEqual(MAX_GROWTH_MB);
  });

  it(`is read in ${MAX_READ_GROWTH_MB} MB`, async () => {
    const hash = createHash('sha256');
    const growth = await growthDuring(['agent', 'content'], async () => {
      const child = stack.ctr.start(['content', 'get', digest]);
      const ended = once(child, 'exit');
      for await (const chunk of child.stdout!) hash.update(chunk);
      expect(await ended).toEqual([0, null]);
    });
    expect(`sha256:${hash.digest('hex')}`).toBe(digest);
    console.log('memory in MB that came on top of a read:', growth);
    for (const mb of Object.values(growth)) expect(mb).toBeLessThanOrEqual(MAX_READ_GROWTH_MB);
  });

  it('is resumed where it was when the service is killed, with the same memory', async () => {
    const { child, stdin, ended } = startIngest('killed');
    stdin.write(FIRST);
    await send(stdin, BLOCKS / 2);
    await stack.services.kill('content');
    await stack.services.whenReady('content');
    child.kill();
    await ended;
    expect(await received('killed')).toBeGreaterThan(0);

    let committed = '';
    const growth = await growthDuring(['agent', 'content'], async () => {
      committed = await resume('killed');
    });
    expect(await sizeOf(committed)).toBeDefined();
    console.log('memory in MB that came on top of a take-over:', growth);
    for (const mb of Object.values(growth)) expect(mb).toBeLessThanOrEqual(MAX_GROWTH_MB);
  });
});
