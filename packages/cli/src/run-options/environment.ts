import { readFileSync } from 'node:fs';
import type { Environment } from '../host.ts';
import { UsageError } from '../usage-error.ts';

/** `NAME=value`; `NAME` alone takes this command's own, and nothing when there is none, as Docker does. */
export function environmentOf(
  given: readonly string[],
  files: readonly string[],
  own: Environment,
): string[] {
  const lines = files.flatMap((path) => linesOf(path));
  return [...lines, ...given].flatMap((entry) => {
    const [name = '', ...value] = entry.split('=');
    if (name === '') throw new UsageError(`--env "${entry}": it has no name`);
    if (value.length > 0) return [entry];
    return own[name] === undefined ? [] : [`${name}=${own[name]}`];
  });
}

/** `NAME=value`; without a value it is empty. Throws UsageError. */
export function labelsOf(given: readonly string[], option = '--label'): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const entry of given) {
    const [name = '', ...value] = entry.split('=');
    if (name === '') throw new UsageError(`${option} "${entry}": it has no name`);
    labels[name] = value.join('=');
  }
  return labels;
}

function linesOf(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    return lines.map((line) => line.trimStart()).filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    throw new UsageError(`--env-file "${path}": ${String((error as Error).message)}`);
  }
}
