import { describe, it } from 'vitest';
import { checkCollectionProperty } from '../integration/collection/property.ts';

/** Another one each time; the one of a failure can be given. */
const seed = Number(process.env.LONGSHORE_TEST_SEED ?? Math.floor(Math.random() * 1e9));

describe(`eight clients and collections (LONGSHORE_TEST_SEED=${seed})`, () => {
  it('lose nothing in minutes', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 20, stepsPerRound: 200 }));

  it('lose nothing while services are killed', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 8, stepsPerRound: 100, isRough: true }));
});
