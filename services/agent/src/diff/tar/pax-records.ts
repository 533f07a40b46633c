import type { Timespec } from '@longshore/linux';
import { archiveError } from './archive-error.ts';
import { type ByteString, fromBytes } from './byte-string.ts';

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/** The records of a pax extended header, in order; keys may repeat. `<length> <key>=<value>\n`, the length of all of it. */
export function* decodePaxRecords(data: Buffer): Generator<[key: ByteString, value: Buffer]> {
  let rest = data;
  while (rest.length > 0) {
    const space = rest.indexOf(SPACE);
    const length = Number(rest.toString('latin1', 0, Math.max(space, 0)));
    const valid = /^\d+$/.test(rest.toString('latin1', 0, Math.max(space, 0))) && length > space + 1;
    if (!valid || length > rest.length || rest[length - 1] !== NEWLINE)
      throw archiveError('malformed pax record');
    const equals = rest.subarray(0, length).indexOf(EQUALS, space);
    if (equals <= space + 1) throw archiveError('pax record without a key');
    yield [fromBytes(rest.subarray(space + 1, equals)), rest.subarray(equals + 1, length - 1)];
    rest = rest.subarray(length);
  }
}

/** A name from a record; one with a NUL could mean two different files to two readers. */
export function paxName(value: Buffer): ByteString {
  if (value.includes(0)) throw archiveError('pax record has a name with a NUL byte');
  return fromBytes(value);
}

export function paxInteger(value: Buffer): number {
  const text = value.toString('latin1');
  const number = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw archiveError(`pax record has ${JSON.stringify(text.slice(0, 40))} for a number`);
  }
  return number;
}

/** Seconds with a fraction of any length, cut to nanoseconds; what is negative counts down from zero. */
export function paxTime(value: Buffer): Timespec {
  const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value.toString('latin1'));
  if (!parts) throw archiveError('pax record has a malformed time');
  const seconds = Number(parts[2]);
  const nanoseconds = Number((parts[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (!parts[1]) return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
