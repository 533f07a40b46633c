import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptGet } from './apt.mjs';
import { fullPath } from './machine.mjs';
import { SetUpError, step } from './report.mjs';

/**
 * iproute2's `ip`, which lays the links between network namespaces. Nearly every machine has it; where it is missing,
 * Debian's package is installed: it starts nothing, and its many libraries would make a private copy a nuisance.
 * @returns {Promise<string>} its absolute path
 */
export async function provideIp() {
  const found = find();
  if (found !== undefined) return found;
  await step("installing Debian's iproute2", () =>
    aptGet(['install', '--no-remove', '--no-install-recommends', 'iproute2'], { mustFinish: true }),
  );
  const installed = find();
  if (installed === undefined) throw new SetUpError("Debian's package iproute2 brought no ip");
  return installed;
}

function find() {
  return fullPath()
    .split(delimiter)
    .map((dir) => join(dir, 'ip'))
    .find((path) => existsSync(path));
}
