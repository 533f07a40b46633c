/** A layer's tar stream; a chunk is valid until the next one is asked for. */
export interface Archive extends AsyncIterable<Buffer> {
  /** How much of the layer, as it is stored, it comes from so far. */
  readonly compressedBytes: number;
}
