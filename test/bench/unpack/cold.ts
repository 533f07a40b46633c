import { readdir } from 'node:fs/promises';
import type { Ctr } from '../../harness/ctr.ts';
import { waitUntil } from '../../harness/wait-until.ts';

const COLLECTED_WITHIN_MS = 60_000;

/**
 * Removes an image with all that is left of it, also in the directory of what is being deleted, says that nothing is, and
 * stores its bytes without unpacking them.
 */
export async function becomeCold(ctr: Ctr, reference: string, trash?: string): Promise<void> {
  await ctr.run(['image', 'rm', '--sync', reference]);
  const nothing = async (words: string[]) =>
    (await ctr.ok(words))
      .split('\n')
      .slice(1)
      .every((line) => line === '');
  await waitUntil(
    async () => (await nothing(['content', 'ls'])) && (await nothing(['snapshots', 'ls'])),
    COLLECTED_WITHIN_MS,
  );
  if (trash) await waitUntil(async () => (await readdir(trash)).length === 0, COLLECTED_WITHIN_MS);
  console.log('  content ls, snapshot ls: empty');
  await ctr.ok(['content', 'fetch', '--plain-http', reference], { timeoutMs: 240_000 });
}
