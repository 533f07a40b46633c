import { describe, it } from 'vitest';
import { checkCollectionProperty } from './collection/property.ts';

/** Always the same here; `test/long` takes others, and the one of a failure can be given. */
const seed = Number(process.env.LONGSHORE_TEST_SEED ?? 1);

describe(`eight clients and collections (LONGSHORE_TEST_SEED=${seed})`, () => {
  it('lose nothing that is reachable, and leave nothing that is not', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 2, stepsPerRound: 25 }));
});
