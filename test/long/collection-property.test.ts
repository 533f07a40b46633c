import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { checkCollectionProperty } from '../integration/collection/property.ts';
import type { World } from '../integration/collection/world.ts';

/** Another one each time; the one of a failure can be given. */
const seed = Number(process.env.LONGSHORE_TEST_SEED ?? Math.floor(Math.random() * 1e9));
/** Longer than bytes without a record are taken for those of a commit that is under way. */
const AGE_S = 2 * 60 * 60;

/** Makes all stored files old, and has the store looked through, as it is after a start. */
async function age({ stack }: World): Promise<void> {
  const at = Date.now() / 1000 - AGE_S;
  const files = await readdir(join(stack.root, 'content'), { recursive: true, withFileTypes: true });
  for (const file of files) await utimes(join(file.parentPath, file.name), at, at).catch(() => undefined);
  await stack.services.kill('content');
  await stack.services.whenReady('content');
}

describe(`eight clients and collections (LONGSHORE_TEST_SEED=${seed})`, () => {
  it('lose nothing in minutes', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 20, stepsPerRound: 200 }));

  it('lose nothing while services are killed', () =>
    checkCollectionProperty({ seed, clients: 8, rounds: 8, stepsPerRound: 100, isRough: true, age }));
});
