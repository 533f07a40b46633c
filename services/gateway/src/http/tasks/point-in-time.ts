import { fromJson } from '@bufbuild/protobuf';
import { type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const AGE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/;
const SECONDS = /^\d{1,11}(?:\.(\d{1,9}))?$/;

/**
 * A time as people give it: RFC 3339, seconds since 1970, or how long ago, such as `90s` or `1h30m`. `name` is the
 * parameter's. Throws InvalidArgument.
 */
export function pointInTime(text: string, name: string, nowMs = Date.now()): Timestamp {
  if (AGE.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g);
    const agoMs = parts.reduce((sum, [, value, unit]) => sum + Number(value) * UNIT_MS[unit!]!, 0);
    return fromNanoseconds(BigInt(Math.max(0, Math.round(nowMs - agoMs))) * 1_000_000n);
  }
  const seconds = SECONDS.exec(text);
  if (seconds) {
    const [whole = '0'] = text.split('.');
    return fromNanoseconds(BigInt(whole) * 1_000_000_000n + BigInt((seconds[1] ?? '').padEnd(9, '0')));
  }
  try {
    return fromJson(TimestampSchema, text);
  } catch (error) {
    throw invalidArgument(
      `${name} ${JSON.stringify(text)}: want RFC 3339, seconds since 1970, or an age such as 10m`,
      {
        cause: error,
      },
    );
  }
}

/** Since 1970. */
export function nanosecondsOf(time: Timestamp | undefined): bigint {
  return (time?.seconds ?? 0n) * 1_000_000_000n + BigInt(time?.nanos ?? 0);
}

export function fromNanoseconds(ns: bigint): Timestamp {
  return {
    $typeName: 'google.protobuf.Timestamp',
    seconds: ns / 1_000_000_000n,
    nanos: Number(ns % 1_000_000_000n),
  };
}
