/** Small chunks joined into ones of at least `minBytes`, but for the last; large ones pass as they are. */
export function* gathered(chunks: Iterable<Buffer>, minBytes: number): Generator<Buffer> {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  for (const chunk of chunks) {
    parts.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes < minBytes) continue;
    yield parts.length === 1 ? chunk : Buffer.concat(parts);
    parts = [];
    sizeBytes = 0;
  }
  if (sizeBytes > 0) yield Buffer.concat(parts);
}
