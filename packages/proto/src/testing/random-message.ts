import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';

/** Uniform in [0, 1); the same sequence for the same seed (mulberry32), so that a failure can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A message twice: as protobuf-es builds it, and as a plain object that protobufjs reads and writes. */
export interface MessagePair {
  message: Message;
  /** By .proto names; 64-bit numbers as decimal strings, bytes in base64, absent what is not on the wire. */
  plain: Record<string, unknown>;
}

interface ValuePair {
  es: unknown;
  plain: unknown;
  /** Equal to the type's default, which a field without presence leaves off the wire. */
  isDefault: boolean;
}

/** Below this depth nested messages are left out: some types contain themselves. */
const MAX_DEPTH = 4;

const TEXTS = ['', 'a', 'sha256:0123', 'schlüssel', '貨物', '🚢', 'with "quotes"\n', 'x'.repeat(200)];
const INT32S = [0, 1, -1, 127, 128, 2 ** 31 - 1, -(2 ** 31)];
const UINT32S = [0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1];
const INT64S = [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const UINT64S = [0n, 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
const DOUBLES = [0, 0.1, -1.5, 1e308, Number.POSITIVE_INFINITY];

/** Builds a message whose fields are set at random, with the extremes of each type among the values. */
export function randomMessage(schema: DescMessage, random: () => number, depth = 0): MessagePair {
  const init: Record<string, unknown> = {};
  const plain: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (random() < 0.15) continue;
    if (field.message && depth >= MAX_DEPTH) continue;
    if (field.oneof && init[field.oneof.localName]) continue;
    const value = fieldValue(field, random, depth);
    if (field.oneof) init[field.oneof.localName] = { case: field.localName, value: value.es };
    else init[field.localName] = value.es;
    const hasPresence = field.fieldKind === 'message' || field.oneof || field.proto.proto3Optional;
    if (hasPresence || !value.isDefault) plain[field.name] = value.plain;
  }
  return { message: create(schema, init), plain };
}

function fieldValue(field: DescField, random: () => number, depth: number): ValuePair {
  if (field.fieldKind === 'list') {
    const items = Array.from({ length: Math.floor(random() * 4) }, () => singleValue(field, random, depth));
    return { es: items.map((i) => i.es), plain: items.map((i) => i.plain), isDefault: items.length === 0 };
  }
  if (field.fieldKind !== 'map') return singleValue(field, random, depth);
  const keys = ['k', 'containerd.io/gc.ref', 'clé'].slice(0, Math.floor(random() * 4));
  const entries = keys.map((key) => [key, singleValue(field, random, depth)] as const);
  return {
    es: Object.fromEntries(entries.map(([key, value]) => [key, value.es])),
    plain: Object.fromEntries(entries.map(([key, value]) => [key, value.plain])),
    isDefault: entries.length === 0,
  };
}

function singleValue(field: DescField, random: () => number, depth: number): ValuePair {
  if (field.message) {
    const { message, plain } = randomMessage(field.message, random, depth + 1);
    return { es: message, plain, isDefault: false };
  }
  if (field.enum) return enumValue(field.enum, random);
  return scalarValue(field.scalar as ScalarType, random);
}

function enumValue(schema: DescEnum, random: () => number): ValuePair {
  const { number } = pick(schema.values, random);
  return { es: number, plain: number, isDefault: number === 0 };
}

function scalarValue(type: ScalarType, random: () => number): ValuePair {
  switch (type) {
    case ScalarType.STRING:
      return same(pick(TEXTS, random));
    case ScalarType.BOOL:
      return same(random() < 0.5);
    case ScalarType.INT32:
      return same(pick(INT32S, random));
    case ScalarType.UINT32:
      return same(pick(UINT32S, random));
    case ScalarType.DOUBLE:
      return same(pick(DOUBLES, random));
    case ScalarType.INT64:
      return long(pick(INT64S, random));
    case ScalarType.UINT64:
      return long(pick(UINT64S, random));
    case ScalarType.BYTES: {
      const bytes = Uint8Array.from({ length: Math.floor(random() * 300) }, () => Math.floor(random() * 256));
      return { es: bytes, plain: Buffer.from(bytes).toString('base64'), isDefault: bytes.length === 0 };
    }
    default:
      throw new Error(`no values for scalar type ${ScalarType[type]}`);
  }
}

function same(value: string | number | boolean): ValuePair {
  return { es: value, plain: value, isDefault: !value };
}

function long(value: bigint): ValuePair {
  return { es: value, plain: value.toString(), isDefault: value === 0n };
}

function pick<T>(values: readonly T[], random: () => number): T {
  return values[Math.floor(random() * values.length)] as T;
}
