import { Channel, createClient, type ServiceClient } from '@longshore/client';
import { kindOf } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const MISSING = digestOf('nobody has this');

type WriteRequest =
  Parameters<ServiceClient<typeof Content>['write']>[0] extends AsyncIterable<infer R> ? R : never;

/** One side, in a namespace of the case's own. */
class Side {
  readonly content: ServiceClient<typeof Content>;
  readonly leases: ServiceClient<typeof Leases>;
  readonly options: { headers: Record<string, string> };

  constructor(channel: Channel, namespace: string, headers: Record<string, string> = {}) {
    this.content = createClient(Content, channel);
    this.leases = createClient(Leases, channel);
    this.options = { headers: { ...(namespace !== '' && { [Header.Namespace]: namespace }), ...headers } };
  }

  /** Each request waits for the answer to the one before. Answers what was heard, and how it ended. */
  async write(...requests: WriteRequest[]): Promise<unknown[]> {
    const heard: unknown[] = [];
    let answered = Promise.withResolvers<void>();
    async function* send() {
      for (const request of requests) {
        yield request;
        await answered.promise;
        answered = Promise.withResolvers<void>();
      }
    }
    try {
      for await (const { action, offset, total, digest, startedAt } of this.content.write(
        send(),
        this.options,
      )) {
        // What else there is in other answers is left over from the last of this kind.
        const stat = action === STAT && { total, hasTimes: (startedAt?.seconds ?? 0n) > 0n };
        heard.push({ action, offset, digest, ...stat });
        answered.resolve();
      }
    } catch (error) {
      heard.push(kindOf(error));
    }
    return heard;
  }

  async put(text: string, labels: Record<string, string> = {}): Promise<string> {
    const heard = await this.write({ ref: `put-${text}`, action: COMMIT, data: Buffer.from(text), labels });
    expect(heard).toHaveLength(2);
    return digestOf(text);
  }

  async read(digest: string, offset = 0n, size = 0n): Promise<unknown> {
    const messages = await Array.fromAsync(this.content.read({ digest, offset, size }, this.options));
    return messages.map((message) => [message.offset, Buffer.from(message.data).toString()]);
  }

  async labels(digest: string): Promise<unknown> {
    return (await this.content.info({ digest }, this.options)).info?.labels;
  }

  async update(digest: string, labels: Record<string, string>, ...paths: string[]): Promise<unknown> {
    const { info } = await this.content.update(
      { info: { digest, labels }, updateMask: { paths } },
      this.options,
    );
    return info?.labels;
  }

  async list(...filters: string[]): Promise<unknown> {
    const blocks = await Array.fromAsync(this.content.list({ filters }, this.options));
    return blocks.flatMap(({ info }) => info.map(({ digest, size, labels }) => ({ digest, size, labels })));
  }

  async statuses(...filters: string[]): Promise<unknown> {
    const { statuses } = await this.content.listStatuses({ filters }, this.options);
    return statuses
      .map(({ ref, offset, total, expected }) => ({ ref, offset, total, expected }))
      .sort((a, b) => (a.ref < b.ref ? -1 : 1));
  }

  /** The same socket, in another namespace. */
  as!: (namespace: string, headers?: Record<string, string>) => Side;
}

const bytes = (text: string) => Buffer.from(text);
/** A value that is no error is answered as it is. */
const outcome = (work: Promise<unknown>) => work.catch((error) => kindOf(error));

const CASES: Record<string, (side: Side) => Promise<unknown>> = {
  'a write in steps': (side) =>
    side.write(
      { ref: 'r', total: 6n, expected: digestOf('abcdef') },
      { action: WRITE, data: bytes('abc') },
      { action: STAT },
      { action: WRITE, offset: 3n, data: bytes('def') },
      { action: COMMIT, offset: 6n, total: 6n, expected: digestOf('abcdef'), labels: { a: '1', empty: '' } },
    ),
  'labels of a commit': async (side) => side.labels(await side.put('labelled', { a: '1', empty: '' })),
  'a commit at once': (side) => side.write({ ref: 'r', action: COMMIT, data: bytes('at once') }),
  'a first message without a reference': (side) => side.write({ action: WRITE, data: bytes('x') }),
  'half-close without a commit, and resumption': async (side) => [
    await side.write({ ref: 'r', total: 6n, action: WRITE, data: bytes('abc') }),
    await side.statuses(),
    await side.write({ ref: 'r', total: 6n }, { action: COMMIT, offset: 3n, data: bytes('def'), total: 6n }),
    await side.read(digestOf('abcdef')),
    await side.statuses(),
  ],
  'another total': async (side) => [
    await side.write({ ref: 'r', total: 6n, action: WRITE, data: bytes('abc') }),
    await side.write({ ref: 'r', total: 7n }),
  ],
  'a total where there was none': async (side) => [
    await side.write({ ref: 'r', action: WRITE, data: bytes('abc') }),
    await side.write({ ref: 'r', total: 7n }, { action: STAT }),
  ],
  'a wrong offset': (side) =>
    side.write(
      { ref: 'r', action: WRITE, data: bytes('abc') },
      { action: WRITE, offset: 2n, data: bytes('d') },
    ),
  'offset zero over what is there': (side) =>
    side.write(
      { ref: 'r', action: WRITE, data: bytes('abc') },
      { action: WRITE, data: bytes('de') },
      { action: STAT },
    ),
  'a commit at offset zero': (side) =>
    side.write({ ref: 'r', action: WRITE, data: bytes('abc') }, { action: COMMIT }),
  'a negative offset': (side) =>
    side.write(
      { ref: 'r', action: WRITE, data: bytes('abc') },
      { action: WRITE, offset: -1n, data: bytes('de') },
    ),
  'a negative total': (side) => side.write({ ref: 'r', total: -5n, action: COMMIT, data: bytes('negative') }),
  'a total that is wrong': (side) => side.write({ ref: 'r', action: COMMIT, data: bytes('abc'), total: 4n }),
  'a digest that is wrong': (side) =>
    side.write({ ref: 'r' }, { action: COMMIT, data: bytes('abc'), expected: digestOf('abd') }),
  'an empty blob': async (side) => [
    await side.write({ ref: 'r', action: COMMIT }),
    await side.read(digestOf('')),
  ],
  'a blob that is held, at the start': async (side) => [
    await side.put('held'),
    await side.write({ ref: 'r', expected: digestOf('held') }),
    await side.statuses(),
  ],
  'a blob that is held, later': async (side) => [
    await side.put('held'),
    await side.write({ ref: 'r' }, { action: WRITE, data: bytes('he'), expected: digestOf('held') }),
    await side.statuses(),
  ],
  'a blob that is held, at the end': async (side) => [
    await side.put('held'),
    await side.write({ ref: 'r', action: COMMIT, data: bytes('held') }),
    await side.statuses(),
  ],
  'references of any kind': async (side) => {
    for (const ref of ['with space', 'a/b:c@d', 'ä', 'x'.repeat(300)]) {
      await side.write({ ref, action: WRITE, data: bytes(ref) });
    }
    return side.statuses();
  },
  'labels that are too long': (side) =>
    side.write({ ref: 'r', action: COMMIT, data: bytes('long'), labels: { a: 'x'.repeat(4096) } }),
  'a lease that is none': (side) => side.as('leased', { [Header.Lease]: 'none' }).write({ ref: 'r' }),
  'no namespace': (side) => side.as('').write({ ref: 'r' }),
  'a namespace that is none': (side) => side.as('no such/thing').write({ ref: 'r' }),
  'statuses by filter': async (side) => {
    for (const ref of ['layer-a', 'layer-b', 'config'])
      await side.write({ ref, action: WRITE, data: bytes(ref) });
    return [
      await side.statuses('ref~=^layer-'),
      await side.statuses('ref==config', 'ref==layer-b'),
      await outcome(side.statuses('ref=')),
    ];
  },
  'status and abort of what is not there': async (side) => [
    await outcome(side.content.status({ ref: 'none' }, side.options)),
    await outcome(side.content.abort({ ref: 'none' }, side.options)),
  ],
  'an abort': async (side) => [
    await side.write({ ref: 'r', action: WRITE, data: bytes('abc') }),
    await outcome(side.content.abort({ ref: 'r' }, side.options).then(() => 'aborted')),
    await side.statuses(),
    await side.write({ ref: 'r' }),
  ],
  'reads of a range': async (side) => {
    const digest = await side.put('abcdefghij');
    const ranges = [
      [0n, 0n],
      [3n, 4n],
      [3n, -1n],
      [3n, 100n],
      [-3n, 2n],
      [10n, 0n],
      [11n, 0n],
      [0n, 10n],
      [9n, 1n],
    ] as const;
    return Promise.all(ranges.map(([offset, size]) => outcome(side.read(digest, offset, size))));
  },
  'what is not there': async (side) =>
    Promise.all([
      outcome(side.labels(MISSING)),
      outcome(side.read(MISSING)),
      outcome(side.update(MISSING, {}, 'labels')),
      outcome(side.content.delete({ digest: MISSING }, side.options)),
    ]),
  'what another namespace has': async (side) => {
    const digest = await side.put('elsewhere');
    const other = side.as('another');
    return Promise.all([outcome(other.labels(digest)), outcome(other.read(digest)), other.list()]);
  },
  'digests that are none': async (side) =>
    Promise.all(
      ['', 'sha256', 'sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e'].flatMap((digest) => [
        outcome(side.labels(digest)),
        outcome(side.read(digest)),
        outcome(side.content.delete({ digest }, side.options)),
      ]),
    ),
  'a deletion, twice': async (side) => {
    const digest = await side.put('deleted');
    return [
      await outcome(side.content.delete({ digest }, side.options).then(() => 'deleted')),
      await outcome(side.content.delete({ digest }, side.options)),
      await side.list(),
    ];
  },
  'updates of labels': async (side) => {
    const digest = await side.put('updated', { a: '1', b: '2' });
    return [
      await outcome(side.update(digest, { a: 'x', c: 'not asked', 'd.e': '4' }, 'labels.a', 'labels.d.e')),
      await outcome(side.update(digest, { b: '' }, 'labels.b')),
      await outcome(side.update(digest, {}, 'labels.d.e')),
      await outcome(side.update(digest, { z: '26', empty: '' }, 'labels')),
      await outcome(side.update(digest, { y: '25' })),
      await outcome(side.update(digest, {}, 'size')),
      await outcome(side.update(digest, {}, 'labels', 'created_at')),
      await outcome(side.update(digest, { a: 'x'.repeat(4096) }, 'labels')),
      await side.labels(digest),
    ];
  },
  'lists by filter': async (side) => {
    for (const [text, labels] of [
      ['one', { colour: 'red', 'a.b/c': 'x' }],
      ['two', { colour: 'blue' }],
      ['three', {}],
    ] as const) {
      await side.put(text, labels);
    }
    const filters = [
      'labels.colour==red',
      'labels.colour!=red',
      'labels.colour',
      'labels."a.b/c"==x',
      'labels.colour~=^b',
      'labels.colour~="("',
      `digest==${digestOf('two')}`,
      `digest~=/${digestOf('two').slice(7, 20)}/`,
      'size==3',
      'labels.colour==red,labels."a.b/c"',
      'labels.a.b/c==x',
      'labels.colour==red ',
      'labels.colour==',
      '=',
      '',
    ];
    return Promise.all(filters.map(async (filter) => [filter, await outcome(side.list(filter))]));
  },
};

let stack: Stack;
let peer: PeerContainerd;
let channels: Channel[];

beforeAll(async () => {
  [stack, peer] = await Promise.all([startStack(), startContainerd({ collects: false })]);
  channels = [stack.socket, peer.socket].map((socket) => new Channel(`unix://${socket}`));
});
afterAll(async () => {
  for (const channel of channels ?? []) channel.close();
  await peer?.[Symbol.asyncDispose]();
  await stack?.close();
});

describe("content of the node socket is like containerd's", () => {
  it.each(Object.keys(CASES))('%s', async (name) => {
    const namespace = name.replaceAll(/[^a-z]+/g, '-');
    const [ours, theirs] = await Promise.all(
      channels.map((channel) => {
        const as = (other: string, headers?: Record<string, string>) =>
          Object.assign(new Side(channel, other, headers), { as });
        return CASES[name]!(as(namespace));
      }),
    );
    expect(ours).toEqual(theirs);
  });
});
