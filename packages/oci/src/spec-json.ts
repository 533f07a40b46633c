import { invalidArgument, messageOf } from '@longshore/errors';
import type { ProcessSpec, RuntimeSpec } from './spec.ts';

/** The parts of the JSON source text proposal that TypeScript does not describe yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const sourceTextJson = JSON as unknown as SourceTextJson;

/** The document that a container's record, an exec or a bundle carries; bigints become numbers, all of their digits. */
export function encodeSpec(spec: RuntimeSpec | ProcessSpec): Uint8Array {
  const text = JSON.stringify(spec, (_key, value: unknown) =>
    typeof value === 'bigint' ? sourceTextJson.rawJSON(String(value)) : value,
  );
  return new TextEncoder().encode(text);
}

/**
 * Reads a document so that {@link encodeSpec} gives its integers back unchanged: those that do not fit a number are bigints.
 * Throws InvalidArgument for what is no JSON object; fields are not checked.
 */
export function decodeSpec(bytes: Uint8Array): RuntimeSpec {
  const parsed = parse(new TextDecoder().decode(bytes));
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as RuntimeSpec;
  throw invalidArgument('spec is no JSON object');
}

function parse(text: string): unknown {
  try {
    return sourceTextJson.parse(text, (_key, value, { source }) =>
      typeof value === 'number' && isLossy(value, source!) ? BigInt(source!) : value,
    );
  } catch (error) {
    throw invalidArgument(`spec is no JSON document: ${messageOf(error)}`, { cause: error });
  }
}

function isLossy(value: number, source: string): boolean {
  return /^-?\d+$/.test(source) && !Number.isSafeInteger(value);
}
