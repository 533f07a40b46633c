/** Of bytes, the last one excluded. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * What a `Range` header asks for of so many bytes. Undefined: all of them, as for what is no single range of bytes; `none`: it
 * begins behind the end. Source: RFC 9110, 14.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | 'none' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const suffix = Number(last);
    return suffix === 0 || sizeBytes === 0
      ? 'none'
      : { start: Math.max(0, sizeBytes - suffix), end: sizeBytes };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= sizeBytes ? 'none' : { start, end };
}
