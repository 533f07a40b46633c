import { afterAll, expect, it } from 'vitest';
import { fuzzArchives } from '../testing/fuzz-archives.ts';
import { Scratch } from '../testing/layers.ts';

const ROUNDS = 400;

const scratch = new Scratch();
afterAll(() => scratch.remove());

it('a mutated archive is applied or refused, changes nothing outside, and leaves no descriptor open', async () => {
  const outcomes = await fuzzArchives(scratch, { firstSeed: 1, rounds: ROUNDS });
  expect(Math.min(outcomes.applied, outcomes.refused)).toBeGreaterThan(ROUNDS / 20);
}, 60_000);
