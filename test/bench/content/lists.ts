import { createHash } from 'node:crypto';
import { loadavg } from 'node:os';
import { isKind } from '@longshore/errors';
import { openPool } from '@longshore/postgres';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { waitUntil } from '../../harness/wait-until.ts';
import { atOnce } from '../scale/at-once.ts';
import { timingsOf } from '../statistics.ts';

export interface ListsOptions {
  records: number;
  /** How often each list is asked for. */
  calls: number;
  /** Of longshore's database. */
  databaseUrl: string;
  /** Of the peer's socket. */
  peer: string;
  /** Where longshore is asked, by what it is. */
  own: { name: string; address: string; node: string | undefined }[];
}

/** Nothing else is in it, and nothing collects what no root leads to. */
const NAMESPACE = 'lists';
const FILTERS = [
  { what: 'one in a thousand', filter: 'labels."bench/thousand"==7' },
  { what: 'one in a hundred', filter: 'labels."bench/hundred"==7' },
  { what: 'one in ten', filter: 'labels."bench/ten"==7' },
];
const COMMITS_AT_ONCE = 32;
const DEADLINE_MS = 300_000;

type ContentClient = ServiceClient<typeof Content>;

/** Times lists with a filter over many records, of longshore and of a containerd, by the same client. */
export async function benchLists({ records, calls, databaseUrl, peer, own }: ListsOptions): Promise<void> {
  using undo = new DisposableStack();
  const connect = (address: string) =>
    createClient(
      Content,
      undo.adopt(new Channel(address), (channel) => channel.close()),
    );
  const peerContent = connect(`unix://${peer}`);
  const started = performance.now();
  await commitAll(peerContent, records);
  console.log(`containerd has ${records} records after ${seconds(started)} s`);
  const sides = own.map((side) => ({ ...side, content: connect(side.address) }));
  await insertAll(
    databaseUrl,
    records,
    sides.map(({ node }) => node),
  );
  for (const { content, node, name } of sides) {
    const isThere = () => holds(content, optionsOf(node), digestOf(records - 1));
    if (!(await waitUntil(isThere, DEADLINE_MS))) throw new Error(`${name} has not heard of the records`);
  }
  for (const { what, filter } of FILTERS) {
    console.log(`content list, ${what} of ${records} by one label; load ${loadavg()[0]!.toFixed(1)}:`);
    const theirs = await timeList(peerContent, filter, optionsOf(undefined), calls);
    print('containerd', theirs);
    for (const { name, content, node } of sides) {
      const ours = await timeList(content, filter, optionsOf(node), calls);
      if (ours.digests !== theirs.digests) throw new Error(`${name} lists others than containerd`);
      print(name, ours, theirs);
    }
  }
}

interface ListTime {
  digests: string;
  count: number;
  firstMs: number;
  totalMs: number;
}

async function timeList(
  content: ContentClient,
  filter: string,
  options: object,
  calls: number,
): Promise<ListTime> {
  const first: number[] = [];
  const total: number[] = [];
  let digests: string[] = [];
  for (let n = -1; n < calls; n++) {
    const started = performance.now();
    let firstMs: number | undefined;
    digests = [];
    for await (const { info } of content.list({ filters: [filter] }, options)) {
      firstMs ??= performance.now() - started;
      for (const { digest } of info) digests.push(digest);
    }
    if (n < 0) continue;
    first.push(firstMs ?? 0);
    total.push(performance.now() - started);
  }
  return {
    digests: digests.join(),
    count: digests.length,
    firstMs: timingsOf(first).median,
    totalMs: timingsOf(total).median,
  };
}

function print(name: string, { count, firstMs, totalMs }: ListTime, peer?: ListTime): void {
  const ratio = peer
    ? `, ${(totalMs / peer.totalMs).toFixed(2)} of containerd's (bar: 0.50; first 100 ms)`
    : '';
  console.log(
    `  ${name.padEnd(16)} ${count} found, first ${firstMs.toFixed(0)} ms, all ${totalMs.toFixed(0)} ms${ratio}`,
  );
}

async function commitAll(content: ContentClient, records: number): Promise<void> {
  const numbers = Array.from({ length: records }, (_, number) => number);
  await atOnce(COMMITS_AT_ONCE, numbers, async (number) => {
    const data = Buffer.from(textOf(number));
    const request = {
      action: WriteAction.COMMIT,
      ref: `record-${number}`,
      total: BigInt(data.length),
      data,
      labels: labelsOf(number),
    };
    for await (const _ of content.write(only(request), optionsOf(undefined)));
  });
}

async function* only<T>(item: T): AsyncGenerator<T> {
  yield item;
}

/** The records alone: a list does not look at bytes. */
async function insertAll(
  url: string,
  records: number,
  nodes: readonly (string | undefined)[],
): Promise<void> {
  const pool = openPool({ url, schema: 'content', size: 1 });
  try {
    await pool.query(`INSERT INTO blobs (digest, generation, size)
      SELECT 'sha256:' || encode(sha256(('record ' || n)::bytea), 'hex'), gen_random_uuid(), length('record ' || n)
      FROM generate_series(0, ${records - 1}) AS n`);
    for (const node of new Set(nodes.map((each) => each ?? '_'))) {
      // In parts: a transaction has a second, and a statement ten.
      for (let first = 0; first < records; first += 10_000) {
        await pool.query(
          `INSERT INTO contents (namespace, node, digest, generation, revision, labels)
           SELECT $1, $2, b.digest, b.generation, nextval('revision'), jsonb_build_object('containerd.io/gc.root', 'yes',
             'bench/ten', (n % 10)::text, 'bench/hundred', (n % 100)::text, 'bench/thousand', (n % 1000)::text)
           FROM generate_series($3::int, $4::int) AS n
           JOIN blobs AS b ON b.digest = 'sha256:' || encode(sha256(('record ' || n)::bytea), 'hex')`,
          [NAMESPACE, node, first, Math.min(first + 10_000, records) - 1],
        );
      }
    }
    await pool.query('ANALYZE');
  } finally {
    await pool.end();
  }
}

function textOf(number: number): string {
  return `record ${number}`;
}

function digestOf(number: number): string {
  return `sha256:${createHash('sha256').update(textOf(number)).digest('hex')}`;
}

function labelsOf(number: number): Record<string, string> {
  return {
    'containerd.io/gc.root': 'yes',
    'bench/ten': String(number % 10),
    'bench/hundred': String(number % 100),
    'bench/thousand': String(number % 1000),
  };
}

async function holds(content: ContentClient, options: object, digest: string): Promise<boolean> {
  try {
    await content.info({ digest }, options);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound')) return false;
    throw error;
  }
}

function optionsOf(node: string | undefined) {
  return { headers: { [Header.Namespace]: NAMESPACE, ...(node !== undefined && { [Header.Node]: node }) } };
}

function seconds(started: number): string {
  return ((performance.now() - started) / 1000).toFixed(0);
}
