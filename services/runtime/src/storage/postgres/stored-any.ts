import type { OpaqueAny } from '@longshore/kit';

/** An `Any` in a jsonb column. */
export interface StoredAny {
  type_url: string;
  /** base64 */
  value: string;
}

export function toStoredAny(any: OpaqueAny): StoredAny {
  return { type_url: any.typeUrl, value: Buffer.from(any.value).toString('base64') };
}

export function fromStoredAny(stored: StoredAny): OpaqueAny {
  return { typeUrl: stored.type_url, value: Buffer.from(stored.value, 'base64') };
}

export function mapValues<A, B>(map: Record<string, A>, convert: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, convert(value)]));
}
