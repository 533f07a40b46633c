import { create } from '@bufbuild/protobuf';
import { Kind, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { describe, expect, it } from 'vitest';
import { chosenInfos } from './snapshot-reads.ts';

const SNAPSHOTS = [
  create(SnapshotSchema, { name: 'base', kind: Kind.COMMITTED, labels: { 'a.b': 'c' } }),
  create(SnapshotSchema, { name: 'layer', kind: Kind.ACTIVE, parent: 'base' }),
  create(SnapshotSchema, { name: 'look', kind: Kind.VIEW, parent: 'base' }),
];

describe('lists of snapshots', () => {
  it.each([
    ['kind==committed', ['base']],
    ['kind==active', ['layer']],
    ['kind==view', ['look']],
    ['name~=^l', ['layer', 'look']],
    ['parent==base', ['layer', 'look']],
    ['parent==""', ['base']],
    ['parent', ['base', 'layer', 'look']],
    ['labels.a.b==c', ['base']],
    ['created', []],
  ])('are filtered: %s', (filter, names) => {
    expect(chosenInfos(SNAPSHOTS, [filter]).flatMap(({ info }) => info.map(({ name }) => name))).toEqual(
      names,
    );
  });

  it('come in blocks of at most 100', () => {
    const many = Array.from({ length: 250 }, (_, n) => create(SnapshotSchema, { name: `s${n}` }));
    expect(chosenInfos(many, []).map(({ info }) => info.length)).toEqual([100, 100, 50]);
  });
});
