import { digestOf } from '@longshore/oci';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Header } from '@longshore/proto/headers';
import { Channel } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { DIFF_CASES } from './content-parity/diff-cases.ts';
import { FILTER_CASES } from './content-parity/filter-cases.ts';
import { LEASE_CASES } from './content-parity/lease-cases.ts';
import { bytes, type Cases, outcome, Side } from './content-parity/side.ts';

const { COMMIT, STAT, WRITE } = WriteAction;
const MISSING = digestOf('nobody has this');

const CASES: Cases = {
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
  'a commit whose expected blob is held': async (side) => [
    await side.put('held'),
    await side.write({ ref: 'r' }, { action: COMMIT, data: bytes('other'), expected: digestOf('held') }),
    await side.write(
      { ref: 's', action: WRITE, data: bytes('abc') },
      { action: COMMIT, offset: 1n, expected: digestOf('held') },
    ),
    await side.statuses(),
  ],
  'totals that change': async (side) => [
    await side.write(
      { ref: 'r', total: 9n, action: WRITE, data: bytes('abc') },
      { action: COMMIT, offset: 3n, total: 3n },
    ),
    await side.write(
      { ref: 's', total: 9n, action: WRITE, data: bytes('abd') },
      { action: COMMIT, offset: 3n },
    ),
  ],
  'labels that are too long, and not asked for': async (side) => {
    const digest = await side.put('masked', { a: '1' });
    const labels = { a: '2', b: 'x'.repeat(4096) };
    return [
      await outcome(side.update(digest, labels, 'labels.a')),
      await outcome(side.update(digest, labels, 'labels.b')),
      await side.labels(digest),
    ];
  },
  ...FILTER_CASES,
  ...LEASE_CASES,
  ...DIFF_CASES,
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

describe("content and diff of the node socket are like containerd's", () => {
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
