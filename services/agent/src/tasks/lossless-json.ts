/** The parts of the JSON source text proposal that TypeScript does not describe yet. */
interface SourceTextJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}

const sourceTextJson = JSON as unknown as SourceTextJson;

/**
 * Parses a document so that `JSON.stringify` gives every number back as it was written: a 64-bit integer does not fit
 * a JavaScript number. Numbers are opaque objects in the result.
 */
export function parseLossless(text: string): unknown {
  return sourceTextJson.parse(text, (_key, value, { source }) =>
    typeof value === 'number' ? sourceTextJson.rawJSON(source!) : value,
  );
}
