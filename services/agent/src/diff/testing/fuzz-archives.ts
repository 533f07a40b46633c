import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kindOf } from '@longshore/errors';
import { expect } from 'vitest';
import {
  applyHere,
  archive,
  describeTree,
  directory,
  END,
  file,
  hardLink,
  header,
  overlayTarget,
  padded,
  paxHeader,
  type Scratch,
  symlink,
  withChecksum,
} from './layers.ts';

/** What is put in place of names and links: the ways out that a mutation finds by chance too seldom. */
const NAMES = [
  '../outside/d/canary',
  's/d/canary',
  's/.wh.d',
  's/.wh..wh..opq',
  '.wh..',
  '/',
  '..',
  't',
  'a',
  's',
];
const TYPES = '01234567xLKgS\0';
/** Fields of numbers in a header, by their limits. */
const NUMBERS = [100, 108, 116, 124, 136, 148, 329, 337, 345];

/** An archive of all that archives can have. */
async function honestArchive(): Promise<Buffer> {
  const sparse = [
    paxHeader(
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.realsize', '20'],
      ['GNU.sparse.name', 'holes'],
      ['SCHILY.xattr.user.note', 'value'],
    ),
    header({ name: 'holes', type: '0', sizeBytes: 517 }),
    padded(Buffer.from('2\n4\n2\n10\n3\n')),
    padded(Buffer.from('abcde')),
  ];
  const usual = await archive(
    directory('a/'),
    directory('a/b/'),
    file('a/b/f', 'x'.repeat(700)),
    symlink('s', '../outside'),
    symlink('t', 'a/b'),
    file('t/g'),
    hardLink('h', 'a/b/f'),
    file('a/.wh.z', ''),
    file('a/.wh..wh..opq', ''),
    file('n'.repeat(180), 'y'),
    { name: 'null', type: 'character-device', devmajor: 1, devminor: 3 },
  );
  return Buffer.concat([...sparse, usual, END]);
}

/** The same sequence in each run, so that what fails once can be looked at. Source: Numerical Recipes' generator. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function mutated(honest: Buffer, pick: (below: number) => number): Buffer {
  const bytes = Buffer.from(honest);
  for (let count = 1 + pick(6); count > 0; count--) {
    const block = bytes.subarray(pick(bytes.length / 512) * 512).subarray(0, 512);
    const field = pick(NUMBERS.length - 1);
    const mutations = [
      () => block.writeUInt8(pick(256), pick(512)),
      () => block.write(TYPES.charAt(pick(TYPES.length)), 156),
      () => block.write(`${NAMES[pick(NAMES.length)]}\0`, pick(2) ? 0 : 157),
      () => block.write(pick(4000).toString(8).padStart(11, '0'), 124),
      () => block.fill(pick(2) ? 0xff : 0x80, NUMBERS[field], NUMBERS[field + 1]),
    ];
    mutations[pick(mutations.length)]?.();
    // Most of them have to pass for a header.
    if (pick(8)) withChecksum(block);
  }
  return bytes.subarray(0, bytes.length - (pick(4) ? 0 : pick(2000)));
}

/**
 * Applies mutated archives, one by one, by seed: each is applied or refused, changes nothing beside its root, and leaves
 * no descriptor open. Answers how many of each there were.
 */
export async function fuzzArchives(
  scratch: Scratch,
  { firstSeed, rounds }: { firstSeed: number; rounds: number },
): Promise<{ applied: number; refused: number }> {
  const outside = scratch.directory('outside');
  mkdirSync(join(outside, 'd'));
  writeFileSync(join(outside, 'd/canary'), 'alive');
  const honest = await honestArchive();
  const before = describeTree(outside);
  const open = readdirSync('/proc/self/fd').length;
  const outcomes = { applied: 0, refused: 0 };
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const pick = sequence(seed);
    const layer = mutated(honest, pick);
    rmSync(join(scratch.path, 'root'), { recursive: true, force: true });
    const path = scratch.directory('root');
    try {
      await applyHere(pick(2) ? overlayTarget(path) : { kind: 'directory', path }, layer, { maxBytes: 1e8 });
      outcomes.applied++;
    } catch (error) {
      expect(kindOf(error), `seed ${seed}: ${error}`).toMatch(/InvalidArgument|ResourceExhausted/);
      outcomes.refused++;
    }
    expect(describeTree(outside), `seed ${seed}`).toEqual(before);
  }
  expect(readdirSync('/proc/self/fd').length).toBe(open);
  return outcomes;
}
