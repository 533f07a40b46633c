import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

/** The two roots that the .proto files of this package import from. */
const SOURCE_ROOTS = ['../../proto/upstream/', '../../proto/own/'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

/** Every .proto file of this package, parsed by protobufjs: no generated code and no protobuf-es involved. */
export function loadIndependently(): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    const path = SOURCE_ROOTS.map((directory) => directory + target).find(existsSync);
    return path ?? target;
  };
  const files = SOURCE_ROOTS.flatMap((directory) =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.proto')),
  );
  root.loadSync(files, { keepCase: true });
  root.resolveAll();
  return root;
}

export function encodeIndependently(type: protobuf.Type, plain: Record<string, unknown>): Uint8Array {
  return type.encode(type.fromObject(plain)).finish();
}

export function decodeIndependently(type: protobuf.Type, bytes: Uint8Array): Record<string, unknown> {
  return type.toObject(type.decode(bytes), { longs: String, enums: Number, bytes: String });
}
