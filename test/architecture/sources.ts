import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** A source file of a workspace package. */
export interface Source {
  /** Relative to the repository, e.g. `packages/kit/src/config.ts`. */
  path: string;
  /** e.g. `packages/kit` */
  unit: string;
  /** Or an example: it does not ship. */
  isTest: boolean;
  /** What it imports, statically or dynamically, as written. */
  imports: string[];
  /** Those of `imports` that are there when it runs, not for types only. */
  loads: string[];
}

const IMPORT = /(?:^(?:import|export|\}).*\bfrom |^import |\bimport\(\s*)'([^']+)'/gm;
const TYPES_ONLY = /^(?:import|export) type /;
const SKIPPED = new Set(['node_modules', 'gen']);

export function sourcesOf(units: readonly string[]): Source[] {
  return units.flatMap((unit) => filesBelow(join(REPOSITORY, unit)).map((file) => read(unit, file)));
}

/** Directories directly below, e.g. `services` → `services/agent`, …; those with a package.json only. */
export function unitsBelow(directory: string): string[] {
  return readdirSync(join(REPOSITORY, directory), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name))
    .sort();
}

/** The path that a relative import means, from the repository's root. */
export function resolveRelative(source: Source, specifier: string): string {
  return join(dirname(source.path), specifier);
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function read(unit: string, file: string): Source {
  const found = [...readFileSync(file, 'utf8').matchAll(IMPORT)];
  const specifiers = (matches: RegExpExecArray[]) => matches.map((match) => match[1]!);
  return {
    path: relative(REPOSITORY, file),
    unit,
    isTest: /\.(test|suite|testing)\.ts$|\/(testing|examples)(\.ts$|\/)/.test(file),
    imports: specifiers(found),
    loads: specifiers(found.filter(([statement]) => !TYPES_ONLY.test(statement))),
  };
}
