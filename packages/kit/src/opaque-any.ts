/** An `Any` that is kept and passed on without looking inside: the type URL and the bytes stay as they came. */
export interface OpaqueAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}
