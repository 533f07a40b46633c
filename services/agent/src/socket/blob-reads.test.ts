import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { createLogger } from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import {
  InfoSchema,
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from '@longshore/proto/containerd/services/content/v1/content';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LocalFiles } from '../content/local-files.ts';
import { SmallBlobs } from '../records/small-blobs.ts';
import { syncedCopy } from '../records/testing/copies.ts';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { blobReads } from './blob-reads.ts';
import { Caller } from './local-read.ts';

const READ = '/containerd.services.content.v1.Content/Read';
const BLOB = randomBytes(3_000_000);
const digest = digestOf(BLOB);

/** Reads of a blob that `default` holds, and whose file is on this host with these bytes. */
async function start(bytes: Buffer = BLOB) {
  const path = join(await scratchDirectory(), 'blob');
  await writeFile(path, bytes);
  const log = createLogger('agent', 'silent');
  const asked: string[] = [];
  const locate = async (namespace: string) => {
    asked.push(namespace);
    return path;
  };
  const doubted: string[] = [];
  const doubt = async (namespace: string) => void doubted.push(namespace);
  const files = new LocalFiles({ locate, doubt }, log);
  const blobs = new SmallBlobs(':memory:');
  onTestFinished(async () => {
    await files[Symbol.asyncDispose]();
    blobs[Symbol.dispose]();
  });
  const copy = syncedCopy();
  const value = toBinary(InfoSchema, create(InfoSchema, { digest, size: BigInt(BLOB.length) }));
  copy.apply([
    create(RecordSchema, { kind: 'content', namespace: 'default', key: digest, revision: 1n, value }),
  ]);
  const read = blobReads({ copy, blobs, prefetch: { want: () => undefined }, files, log }).get(READ)!;
  const ask = async (offset: number, size: number, namespace = 'default') => {
    const request = create(ReadContentRequestSchema, { digest, offset: BigInt(offset), size: BigInt(size) });
    const caller = new Caller({ 'containerd-namespace': namespace });
    return read(toBinary(ReadContentRequestSchema, request), caller);
  };
  return { ask, asked, doubted, files };
}

type Asked = Awaited<ReturnType<Awaited<ReturnType<typeof start>>['ask']>>;

/** What the caller gets; `undefined` when its service is asked. */
async function answersOf(outcome: Asked) {
  if (!('length' in outcome) && !('messages' in outcome)) return undefined;
  const messages = 'length' in outcome ? outcome : await Array.fromAsync(outcome.messages);
  return messages.map((message) => {
    const bytes = message instanceof Uint8Array ? message : Buffer.concat(message);
    return fromBinary(ReadContentResponseSchema, bytes);
  });
}

describe('reads of a large blob whose file is on this host', () => {
  it('are answered from it, with offsets that count from the start of the read', async () => {
    const { ask, asked } = await start();
    const answers = (await answersOf(await ask(10, 0)))!;
    expect(Buffer.concat(answers.map(({ data }) => data)).equals(BLOB.subarray(10))).toBe(true);
    let offset = 0n;
    for (const answer of answers) {
      expect(answer.offset).toBe(offset);
      offset += BigInt(answer.data.length);
    }
    expect(asked).toEqual(['default']);
  });

  it('may be ranges', async () => {
    const { ask } = await start();
    for (let at = 0; at < BLOB.length; at += 32_768) {
      const [answer, ...more] = (await answersOf(await ask(at, 32_768)))!;
      expect(more).toEqual([]);
      expect(Buffer.from(answer!.data).equals(BLOB.subarray(at, at + 32_768))).toBe(true);
    }
  });

  it('are for namespaces that hold it, whoever has it open', async () => {
    const { ask } = await start();
    await ask(0, 10);
    await expect(ask(0, 10, 'other')).rejects.toMatchObject({ kind: 'NotFound' });
    await expect(ask(BLOB.length + 1, 0)).rejects.toMatchObject({ kind: 'OutOfRange' });
  });

  it('go on when the place of the file among the open ones goes to another', async () => {
    const { ask, doubted, files } = await start();
    const outcome = await ask(0, 0);
    if (!('messages' in outcome)) throw new Error('not answered from the file');
    const messages = outcome.messages[Symbol.asyncIterator]();
    const parts = [(await messages.next()).value];
    await files[Symbol.asyncDispose]();
    for (let next = await messages.next(); !next.done; next = await messages.next()) parts.push(next.value);
    const answers = await answersOf(parts as Parameters<typeof answersOf>[0]);
    expect(Buffer.concat(answers!.map(({ data }) => data)).equals(BLOB)).toBe(true);
    expect(doubted).toEqual([]);
  });

  it('never end well when the file is wrong: the service is asked, which can say so', async () => {
    const wrong = Buffer.from(BLOB);
    wrong[1_500_000]! ^= 1;
    const { ask, doubted } = await start(wrong);
    await expect(answersOf(await ask(0, 0))).rejects.toMatchObject({ kind: 'DataLoss' });
    expect(doubted).toEqual(['default']);
    expect(await answersOf(await ask(0, 0))).toBeUndefined();
    expect(await answersOf(await ask(BLOB.length - 1, 1))).toBeUndefined();
  });

  it('fail at the end for who has read wrong bytes before it, though the service may have the right ones', async () => {
    const wrong = Buffer.from(BLOB);
    wrong[1]! ^= 1;
    const { ask, doubted } = await start(wrong);
    expect(await answersOf(await ask(0, BLOB.length - 10))).toBeDefined();
    await expect(ask(BLOB.length - 10, 10)).rejects.toMatchObject({ kind: 'DataLoss' });
    expect(doubted).toEqual(['default']);
  });
});
