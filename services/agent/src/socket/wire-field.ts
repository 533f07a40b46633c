/** Protobuf's wire type of strings, bytes and messages. */
const LENGTH_DELIMITED = 2;

/** One field of a message, as bytes of protobuf: so a stored message becomes part of an answer without being decoded. */
export function wireField(number: number, value: Uint8Array): Uint8Array {
  const head = wireHead(number, value.length);
  const field = new Uint8Array(head.length + value.length);
  field.set(head);
  field.set(value, head.length);
  return field;
}

/** What stands before the bytes of a field. */
export function wireHead(number: number, lengthBytes: number): Uint8Array {
  const head: number[] = [(number << 3) | LENGTH_DELIMITED];
  let length = lengthBytes;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  head.push(length);
  return Uint8Array.from(head);
}
