import { randomInt } from 'node:crypto';
import { afterAll, expect, it } from 'vitest';
import { fuzzArchives } from '../../services/agent/src/diff/testing/fuzz-archives.ts';
import { Scratch } from '../../services/agent/src/diff/testing/layers.ts';

const ROUNDS = 20_000;

const scratch = new Scratch();
afterAll(() => scratch.remove());

it('mutated archives, other ones in each run, are applied or refused and change nothing outside', async () => {
  // What fails says its seed.
  const outcomes = await fuzzArchives(scratch, { firstSeed: randomInt(1, 2 ** 31), rounds: ROUNDS });
  expect(Math.min(outcomes.applied, outcomes.refused)).toBeGreaterThan(ROUNDS / 20);
});
