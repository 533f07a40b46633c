import type { KeyValue } from '@longshore/proto/ttrpc/request';

/** Key → values, in order. Keys are lower case, as ttrpc's Go implementation stores them. */
export type Metadata = ReadonlyMap<string, readonly string[]>;

/** What a caller writes; an array sends the key once for each value, `undefined` leaves it out. */
export type MetadataInit = Record<string, string | readonly string[] | undefined>;

export function metadataToProto(init: MetadataInit = {}): { key: string; value: string }[] {
  return Object.entries(init).flatMap(([key, value]) =>
    [value ?? []].flat().map((one) => ({ key: key.toLowerCase(), value: one })),
  );
}

export function metadataFromProto(pairs: readonly KeyValue[]): Metadata {
  const metadata = new Map<string, string[]>();
  for (const { key, value } of pairs) {
    const values = metadata.get(key.toLowerCase());
    if (values) values.push(value);
    else metadata.set(key.toLowerCase(), [value]);
  }
  return metadata;
}
