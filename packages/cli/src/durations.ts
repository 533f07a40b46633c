import type { Duration } from '@bufbuild/protobuf/wkt';
import { Option } from 'commander';
import { UsageError } from './usage-error.ts';

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90` (seconds), `90s`, `1h30m`, `7d`; in milliseconds. Throws UsageError. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  if (text !== '' && parts.map(([whole]) => whole).join('') === text) {
    return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0);
  }
  throw new UsageError(
    `duration "${text}": not understood`,
    'For instance 30s, 5m, 1h30m, 7d; a number alone is seconds.',
  );
}

/** An option whose value is a duration, with the default as a person writes it. */
export function durationOption(flags: string, meaning: string, standard?: string): Option {
  const option = new Option(flags, meaning).argParser(parseDuration);
  return standard === undefined ? option : option.default(parseDuration(standard), standard);
}

/** A time as RFC 3339, seconds since 1970, or how long ago: `2026-01-31`, `1700000000`, `10m`. Throws UsageError. */
export function parseTime(text: string, now: number = Date.now()): Date {
  if (/^\d{9,}(\.\d+)?$/.test(text)) return new Date(Number(text) * 1_000);
  if (/^\d{4}-\d\d/.test(text)) {
    const time = new Date(text);
    if (!Number.isNaN(time.getTime())) return time;
  }
  try {
    return new Date(now - parseDuration(text));
  } catch {
    throw new UsageError(
      `time "${text}": not understood`,
      'For instance 10m (ago), 2026-01-31T12:00:00Z, or seconds since 1970.',
    );
  }
}

export function durationOf(ms: number): Pick<Duration, 'seconds' | 'nanos'> {
  return { seconds: BigInt(Math.floor(ms / 1_000)), nanos: Math.round((ms % 1_000) * 1e6) };
}
