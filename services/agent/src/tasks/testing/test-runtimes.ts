import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BOOTSTRAP = fileURLToPath(new URL('../../../../../deploy/local/bootstrap.mjs', import.meta.url));

/** Runtimes that only tests run: paths of later containerds' shims, by version, and of crun. */
export interface TestRuntimes {
  shims: Record<'1.7' | '2.x', string>;
  crun: string;
}

/** Finds them; the first call fetches what is missing, and fails when it cannot. */
export async function testRuntimes(): Promise<TestRuntimes> {
  const found = recorded();
  if (found) return found;
  await promisify(execFile)(process.execPath, [BOOTSTRAP, 'runtimes']);
  const fetched = recorded();
  if (!fetched) throw new Error('the runtimes for the tests are not there, though they were fetched');
  return fetched;
}

/** Written by `deploy/local/bootstrap/runtimes.mjs`. */
function recorded(): TestRuntimes | undefined {
  const path = join(process.env.LONGSHORE_CACHE || '/var/cache/longshore', 'runtimes.json');
  if (!existsSync(path)) return undefined;
  const runtimes: TestRuntimes = JSON.parse(readFileSync(path, 'utf8'));
  return [...Object.values(runtimes.shims), runtimes.crun].every((file) => existsSync(file))
    ? runtimes
    : undefined;
}
