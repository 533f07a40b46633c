import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptGet } from './apt.mjs';
import { fullPath } from './machine.mjs';
import { say, step } from './report.mjs';

/**
 * Sees to `igzip`, of Debian's package `isal`, with which agents unpack images faster. It starts nothing; where it is not
 * to be had, agents do without, and it is not asked for again.
 * @param {string} cache
 */
export async function recommendIgzip(cache) {
  const asked = join(cache, 'igzip-asked-for');
  if (isThere() || existsSync(asked)) return;
  writeFileSync(asked, '');
  const args = ['install', '--no-remove', '--no-install-recommends', 'isal'];
  try {
    await step("installing Debian's isal, which is recommended", () => aptGet(args, { mustFinish: true }));
  } catch {
    say('images will be unpacked without igzip');
  }
}

function isThere() {
  return fullPath()
    .split(delimiter)
    .some((directory) => existsSync(join(directory, 'igzip')));
}
