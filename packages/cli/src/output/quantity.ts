import type { Timestamp } from '@bufbuild/protobuf/wkt';

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const AGES: [seconds: number, one: string][] = [
  [365 * 86_400, 'year'],
  [30 * 86_400, 'month'],
  [7 * 86_400, 'week'],
  [86_400, 'day'],
  [3_600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** As Docker shows it: powers of 1000, three digits. */
export function sizeText(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)}${SIZES[unit]}`;
}

/** e.g. `3 minutes`; the largest unit alone, of which there are two at least where a smaller one can tell more. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [size, name] = AGES.find(([unit]) => seconds >= 2 * unit) ?? [1, 'second'];
  const count = Math.floor(seconds / size);
  return count === 0 ? 'less than a second' : `${count} ${name}${count === 1 ? '' : 's'}`;
}

export function ageText(time: Timestamp | undefined, now: number = Date.now()): string {
  return isSet(time) ? `${durationText(now - millisecondsOf(time))} ago` : '';
}

export function millisecondsOf({ seconds, nanos }: Pick<Timestamp, 'seconds' | 'nanos'>): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

/** RFC 3339 with the precision that there is; null for none. */
export function timeOf(time: Pick<Timestamp, 'seconds' | 'nanos'> | undefined): string | null {
  if (!isSet(time)) return null;
  const whole = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  const fraction = String(time.nanos).padStart(9, '0').replace(/0+$/, '');
  return `${whole}${fraction && `.${fraction}`}Z`;
}

/** Go's programs send the first moment of the year 1 for no time. */
function isSet<T extends Pick<Timestamp, 'seconds'>>(time: T | undefined): time is T {
  return time !== undefined && time.seconds > -62_135_596_800n;
}
