import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { invalidArgument, messageOf } from '@longshore/errors';

/**
 * The values of a field of an encoded message, given the field numbers that lead to it through nested messages: strings,
 * bytes and messages only. Nothing else is decoded. Throws InvalidArgument for what is no message.
 */
export function valuesAt(message: Uint8Array, path: readonly number[]): Uint8Array[] {
  const [field, ...deeper] = path;
  if (field === undefined) return [message];
  return fieldValues(message, field).flatMap((value) => valuesAt(value, deeper));
}

/** As a decoder has it: the last one counts, and an absent one is empty. */
export function textAt(message: Uint8Array, path: readonly number[]): string {
  return Buffer.from(valuesAt(message, path).at(-1) ?? []).toString();
}

function fieldValues(message: Uint8Array, wanted: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  try {
    const reader = new BinaryReader(message);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === wanted && type === WireType.LengthDelimited) values.push(reader.bytes());
      else reader.skip(type, field);
    }
  } catch (error) {
    throw invalidArgument(`request: it is no valid message, ${messageOf(error)}`, { cause: error });
  }
  return values;
}
