import { describe, it } from 'vitest';
import { checkCollectionProperty } from './collection/property.ts';

/** Another one each time; the one of a failure can be given. */
const seed = Number(process.env.LONGSHORE_TEST_SEED ?? Math.floor(Math.random() * 1e9));

describe(`eight clients and collections (LONGSHORE_TEST_SEED=${seed})`, () => {
  it('lose nothing that is reachable, and leave nothing that is not', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 2, stepsPerRound: 40 }));
});
