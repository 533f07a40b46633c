import { invalidArgument } from '@longshore/errors';

/** What a namespace's name may have, over all nodes; 0: no limit, undefined: the default. */
export interface Limits {
  readonly storedBytes: number | undefined;
  readonly openIngests: number | undefined;
}

export interface Quota {
  readonly namespace: string;
  /** Its own. */
  readonly own: Limits;
  /** What holds; 0: no limit. */
  readonly maxStoredBytes: number;
  readonly maxOpenIngests: number;
  /** What it has. */
  readonly storedBytes: number;
  readonly openIngests: number;
}

/** Throws InvalidArgument. */
export function validateLimits({ storedBytes, openIngests }: Limits): void {
  for (const limit of [storedBytes, openIngests]) {
    if (limit !== undefined && (limit < 0 || !Number.isSafeInteger(limit)))
      throw invalidArgument(`limit ${limit}`);
  }
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** For people: `1.5 GB`; whole units without a fraction. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
