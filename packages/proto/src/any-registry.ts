import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  type Registry,
  toJson,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import * as files from './gen/files.js';
import { JsonTypeUrl } from './json-types.ts';

const JSON_TYPE_URLS: ReadonlySet<string> = new Set(Object.values(JsonTypeUrl));

/** Every message of every .proto file of this package. */
export const messageRegistry: Registry = createRegistry(...(Object.values(files) as DescFile[]));

/** What an `Any` holds: a known protobuf message, a JSON document, or bytes that nobody here knows. */
export type AnyContent = { kind: 'message'; schema: DescMessage } | { kind: 'json' } | { kind: 'unknown' };

/** A type URL is a bare full name, or one behind `<prefix>/`; JSON ones are matched whole. */
export function lookUpType(typeUrl: string): AnyContent {
  if (JSON_TYPE_URLS.has(typeUrl)) return { kind: 'json' };
  const schema = messageRegistry.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
  return schema ? { kind: 'message', schema } : { kind: 'unknown' };
}

/**
 * The value of an `Any` as JSON for people: protobuf's JSON mapping with the field names of the .proto file, or
 * the document itself. `undefined` for a type that is not known, or bytes that do not fit it.
 */
export function anyToJson(any: Pick<Any, 'typeUrl' | 'value'>): unknown {
  const content = lookUpType(any.typeUrl);
  try {
    if (content.kind === 'json') return JSON.parse(new TextDecoder().decode(any.value));
    if (content.kind === 'message') {
      const message = fromBinary(content.schema, any.value);
      return toJson(content.schema, message, { registry: messageRegistry, useProtoFieldName: true });
    }
  } catch {
    // The sender's bytes are opaque to us by contract; a view for people is best effort.
    return undefined;
  }
  return undefined;
}
