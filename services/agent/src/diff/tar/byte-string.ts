/**
 * Names in archives and on Linux are bytes, in no certain encoding. While unpacking they are held as strings of one
 * character per byte (latin1): comparable, usable as keys, and the very same bytes when handed to the kernel.
 */
export type ByteString = string;

export function toBytes(name: ByteString): Buffer {
  return Buffer.from(name, 'latin1');
}

export function fromBytes(bytes: Buffer): ByteString {
  return bytes.toString('latin1');
}

/** Enough of a hostile name for an error message. */
const SHOWN_CHARACTERS = 200;

/** Quoted, read as UTF-8, control characters escaped and long names cut: for error messages. */
export function printable(name: ByteString): string {
  const text = toBytes(name).toString();
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}
