import { changeLinux, type SpecOption } from './spec-option.ts';

/** Takes the place of those that there are: add them to DEFAULT_MASKED_PATHS to keep these. */
export function withMaskedPaths(paths: readonly string[]): SpecOption {
  return changeLinux((linux) => ({ ...linux, maskedPaths: [...paths] }));
}

/** Takes the place of those that there are: add them to DEFAULT_READONLY_PATHS to keep these. */
export function withReadonlyPaths(paths: readonly string[]): SpecOption {
  return changeLinux((linux) => ({ ...linux, readonlyPaths: [...paths] }));
}
