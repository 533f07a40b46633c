import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** What a call is about, by the names of the fields with dots between, e.g. `container.id`. */
export type Subject = Record<string, string>;

/**
 * Fields that name something. What is not listed is not kept: of requests nearly everything else may hold a secret (environment,
 * labels, options, credentials, bytes).
 */
const NAMING: ReadonlySet<string> = new Set([
  'id',
  'name',
  'container_id',
  'exec_id',
  'sandbox_id',
  'node_id',
  'key',
  'parent',
  'ref',
  'reference',
  'digest',
  'image',
  'snapshotter',
  'namespace',
  'identity',
  'serial',
  'signal',
  'force',
  'role',
  'subject',
  'group',
  'nodes',
]);

/** Objects of JSON to look into; others may be maps of the caller's own, of labels or of variables. */
const HOLDING: ReadonlySet<string> = new Set(['image', 'target', 'container']);

/** `image.target.digest` is the deepest. */
const MAX_DEPTH = 3;
/** Of a list that names things; of a message that somebody made for us to choke on. */
const MAX_FIELDS = 24;

interface Part {
  name: string;
  /** Set for one of a list of words. */
  values?: DescEnum;
  /** Set for a message with something that names. */
  parts?: Parts;
}
type Parts = ReadonlyMap<number, Part>;

const partsOfInputs = new WeakMap<DescMessage, Parts>();

/** What an encoded request is about. Nothing for what is no such message: that is for others to refuse. */
export function subjectOf(input: DescMessage, message: Uint8Array): Subject {
  const parts = partsOfInputs.get(input) ?? partsOf(input, MAX_DEPTH);
  partsOfInputs.set(input, parts);
  const subject: Subject = {};
  try {
    collect(parts, message, '', subject);
  } catch {
    return {};
  }
  return subject;
}

/** The same of a request in JSON, or of the parameters of its URL: what it names itself, and of the objects in {@link HOLDING}. */
export function subjectOfJson(value: unknown): Subject {
  const subject: Subject = {};
  collectJson(value, '', subject);
  return subject;
}

function partsOf(message: DescMessage, depth: number): Parts {
  const parts = message.fields.map((field): [number, Part] | undefined => {
    const { name, number } = field;
    if (isNaming(field)) return [number, { name, ...(field.fieldKind === 'enum' && { values: field.enum }) }];
    if (depth === 1 || field.fieldKind !== 'message' || field.message.typeName.startsWith('google.')) {
      return undefined;
    }
    const below = partsOf(field.message, depth - 1);
    return below.size > 0 ? [number, { name, parts: below }] : undefined;
  });
  return new Map(parts.filter((part) => part !== undefined));
}

function isNaming(field: DescField): boolean {
  if (!NAMING.has(field.name)) return false;
  const isList = field.fieldKind === 'list' && field.listKind === 'scalar';
  if (field.fieldKind === 'enum') return true;
  return (field.fieldKind === 'scalar' || isList) && field.scalar !== ScalarType.BYTES;
}

function collect(parts: Parts, message: Uint8Array, prefix: string, subject: Subject): void {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const part = parts.get(number);
    if (part && type === WireType.LengthDelimited) {
      const value = reader.bytes();
      if (part.parts) collect(part.parts, value, `${prefix}${part.name}.`, subject);
      else note(subject, prefix + part.name, Buffer.from(value).toString());
    } else if (part && !part.parts && type === WireType.Varint) {
      const value = Number(reader.uint64());
      note(subject, prefix + part.name, part.values?.value[value]?.name ?? String(value));
    } else {
      reader.skip(type, number);
    }
  }
}

function collectJson(value: unknown, prefix: string, subject: Subject): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    if (NAMING.has(name)) {
      for (const each of [part].flat().filter(isPlain)) note(subject, prefix + name, String(each));
    }
    if (HOLDING.has(name)) collectJson(part, `${prefix}${name}.`, subject);
  }
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** What a list has is kept with commas between. */
function note(subject: Subject, name: string, value: string): void {
  if (value === '') return;
  const before = subject[name];
  if (before !== undefined) subject[name] = before.length < 512 ? `${before},${value}` : before;
  else if (Object.keys(subject).length < MAX_FIELDS) subject[name] = value;
}
