import { create, type DescMessage, equals, fromBinary, toBinary } from '@bufbuild/protobuf';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { messageRegistry } from './any-registry.ts';
import { UsageResponseSchema } from './gen/containerd/services/snapshots/v1/snapshots_pb.js';
import { MemoryEntrySchema } from './gen/io/containerd/cgroups/v1/metrics_pb.js';
import { decodeIndependently, encodeIndependently, loadIndependently } from './testing/independent-codec.ts';
import { randomMessage, seededRandom } from './testing/random-message.ts';

const INSTANCES_PER_MESSAGE = 8;

const root = loadIndependently();
const schemas = [...messageRegistry].filter((type): type is DescMessage => type.kind === 'message');

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function messageNames(space: protobuf.NamespaceBase): string[] {
  return space.nestedArray.flatMap((nested) => {
    if (!(nested instanceof protobuf.Namespace)) return [];
    const inner = messageNames(nested);
    return nested instanceof protobuf.Type ? [nested.fullName.slice(1), ...inner] : inner;
  });
}

describe('encoding', () => {
  it('covers every message of every .proto file', () => {
    const known = new Set(schemas.map((schema) => schema.typeName));
    const parsed = messageNames(root).filter((name) => !name.startsWith('google.protobuf.'));
    expect(parsed.length).toBeGreaterThan(300);
    expect(parsed.filter((name) => !known.has(name))).toEqual([]);
  });

  it.each(schemas.map((schema, index) => [schema.typeName, schema, index] as const))(
    'of %s is that of protobufjs',
    (name, schema, index) => {
      const type = root.lookupType(name);
      const random = seededRandom(index);
      for (let instance = 0; instance < INSTANCES_PER_MESSAGE; instance++) {
        const { message, plain } = randomMessage(schema, random);
        const bytes = toBinary(schema, message);
        const independent = encodeIndependently(type, plain);
        expect(hex(bytes)).toBe(hex(independent));
        expect(equals(schema, fromBinary(schema, independent), message)).toBe(true);
        expect(decodeIndependently(type, bytes)).toEqual(plain);
      }
    },
  );

  it.each([2n ** 63n - 1n, -(2n ** 63n), -1n, 2n ** 53n + 1n])('keeps int64 %d', (size) => {
    const bytes = toBinary(UsageResponseSchema, create(UsageResponseSchema, { size }));
    const type = root.lookupType(UsageResponseSchema.typeName);
    expect(decodeIndependently(type, bytes)).toEqual({ size: size.toString() });
    expect(fromBinary(UsageResponseSchema, encodeIndependently(type, { size: size.toString() })).size).toBe(
      size,
    );
  });

  it('keeps the largest uint64, as the kernel reports for no limit', () => {
    const limit = 2n ** 64n - 1n;
    const bytes = toBinary(MemoryEntrySchema, create(MemoryEntrySchema, { limit }));
    expect(hex(bytes)).toBe('08ffffffffffffffffff01');
    expect(decodeIndependently(root.lookupType(MemoryEntrySchema.typeName), bytes)).toEqual({
      limit: limit.toString(),
    });
  });
});
