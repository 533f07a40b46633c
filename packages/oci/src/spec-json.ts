import type { ProcessSpec, RuntimeSpec } from './spec.ts';
import type { ResourcesSpec } from './spec-resources.ts';

/** The part of the JSON source text proposal that TypeScript does not describe yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/** The document that a container's record, an exec, an update or a bundle carries; bigints become numbers, all of their digits. */
export function encodeSpec(spec: RuntimeSpec | ProcessSpec | ResourcesSpec): Uint8Array {
  const text = JSON.stringify(spec, (_key, value: unknown) =>
    typeof value === 'bigint' ? rawJSON(String(value)) : value,
  );
  return new TextEncoder().encode(text);
}
