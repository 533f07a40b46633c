import { createHash, randomBytes } from 'node:crypto';
import { loadavg } from 'node:os';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import type { Side } from './sides.ts';

const INGESTS = 100;
const BLOB_BYTES = 5_000_000;
const CHUNK_BYTES = 1_000_000;

const OPTIONS = { headers: { [Header.Namespace]: 'ingests' } };

/** Times many ingests at once, by the same client, and reads back what was stored. */
export async function benchIngests(sides: readonly Side[]): Promise<void> {
  const blobs = Array.from({ length: INGESTS }, () => randomBytes(BLOB_BYTES));
  console.log(`${INGESTS} ingests of ${BLOB_BYTES / 1e6} MB at once; load ${loadavg()[0]!.toFixed(1)}:`);
  for (const { name, socket } of sides) {
    using undo = new DisposableStack();
    const content = createClient(
      Content,
      undo.adopt(new Channel(`unix://${socket}`), (opened) => opened.close()),
    );
    const started = performance.now();
    const outcomes = await Promise.allSettled(blobs.map((blob, n) => ingest(content, `ingest-${n}`, blob)));
    const ms = performance.now() - started;
    const failed = outcomes.filter(({ status }) => status === 'rejected');
    for (const blob of blobs) await verify(name, content, blob);
    const rate = (INGESTS * BLOB_BYTES) / 1000 / ms;
    console.log(
      `  ${name.padEnd(10)} ${failed.length} failed, ${rate.toFixed(0)} MB/s in all; bytes are right`,
    );
    if (failed.length > 0) throw new Error(`${name}: ${failed.length} ingests failed`);
  }
}

/** As a Go client does: each message waits for its answer. */
async function ingest(content: ServiceClient<typeof Content>, ref: string, blob: Buffer): Promise<void> {
  const total = BigInt(blob.length);
  let answered = Promise.withResolvers<void>();
  async function* requests() {
    const expected = digestOf(blob);
    yield { ref, total, expected };
    for (let at = 0; at < blob.length; at += CHUNK_BYTES) {
      await answered.promise;
      const data = blob.subarray(at, at + CHUNK_BYTES);
      yield { action: WriteAction.WRITE, offset: BigInt(at), data };
    }
    await answered.promise;
    const labels = { 'containerd.io/gc.root': 'yes' };
    yield { action: WriteAction.COMMIT, offset: total, total, expected, labels };
  }
  for await (const _ of content.write(requests(), OPTIONS)) {
    answered.resolve();
    answered = Promise.withResolvers<void>();
  }
}

async function verify(name: string, content: ServiceClient<typeof Content>, blob: Buffer): Promise<void> {
  const digest = digestOf(blob);
  const hash = createHash('sha256');
  for await (const { data } of content.read({ digest }, OPTIONS)) hash.update(data);
  if (`sha256:${hash.digest('hex')}` !== digest) throw new Error(`${name}: ${digest} came back as another`);
}

function digestOf(blob: Buffer): string {
  return `sha256:${createHash('sha256').update(blob).digest('hex')}`;
}
