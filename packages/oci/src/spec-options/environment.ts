import { changeProcess, type SpecOption } from './spec-option.ts';

/** Sets variables, each `NAME=value`, over those of the same name; a bare `NAME` takes it away. */
export function withEnv(variables: readonly string[]): SpecOption {
  return changeProcess(({ env = [], ...process }) => ({ ...process, env: mergeEnv(env, variables) }));
}

/** `overrides` over `defaults`: a variable that is set again stays in its place, a bare `NAME` takes it away. */
export function mergeEnv(defaults: readonly string[], overrides: readonly string[]): string[] {
  const merged = new Map(defaults.map((entry) => [nameOf(entry), entry]));
  for (const entry of overrides) {
    if (entry.includes('=')) merged.set(nameOf(entry), entry);
    else merged.delete(entry);
  }
  return [...merged.values()];
}

function nameOf(entry: string): string {
  return entry.split('=', 1)[0]!;
}
