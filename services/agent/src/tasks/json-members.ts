/** One `"key": value` of an object in JSON source. */
export interface JsonMember {
  key: string;
  /** Where the value's source begins, at its first character. */
  valueAt: number;
  /** Behind the value; there may be white space before that. */
  valueEnd: number;
}

const WHITE_SPACE = new Set([' ', '\t', '\n', '\r']);

/**
 * The members of the object that begins at `at`, in order, repeated keys each time: `JSON.parse` shows the last one
 * only. The source must be valid JSON. Empty for a value that is no object.
 */
export function* jsonMembers(source: string, at = 0): Generator<JsonMember, void, undefined> {
  let i = skipWhiteSpace(source, at);
  if (source[i] !== '{') return;
  for (;;) {
    i = skipWhiteSpace(source, i + 1);
    if (source[i] !== '"') return;
    const keyEnd = endOfString(source, i);
    const key = unquoted(source.slice(i, keyEnd));
    const valueAt = skipWhiteSpace(source, source.indexOf(':', keyEnd) + 1);
    i = endOfValue(source, valueAt);
    yield { key, valueAt, valueEnd: i };
    if (source[i] !== ',') return;
  }
}

function unquoted(string: string): string {
  return string.includes('\\') ? JSON.parse(string) : string.slice(1, -1);
}

/** How deep arrays and objects nest; for what is no JSON, at least as deep as a reader would get. */
export function jsonDepth(source: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < source.length; i++) {
    const character = source[i];
    if (character === '"') i = endOfString(source, i) - 1;
    else if (character === '{' || character === '[') deepest = Math.max(deepest, ++depth);
    else if (character === '}' || character === ']') depth--;
  }
  return deepest;
}

export function skipWhiteSpace(source: string, at: number): number {
  let i = at;
  while (WHITE_SPACE.has(source[i] ?? '')) i++;
  return i;
}

/** At the comma or bracket that follows the value. */
function endOfValue(source: string, at: number): number {
  let depth = 0;
  for (let i = at; i < source.length; i++) {
    const character = source[i];
    if (character === '"') i = endOfString(source, i) - 1;
    else if (character === '{' || character === '[') depth++;
    else if (depth === 0 && (character === ',' || character === '}' || character === ']')) return i;
    else if (character === '}' || character === ']') depth--;
  }
  return source.length;
}

/** Behind the closing quote of the string whose opening quote is at `at`; the source's end for one that never closes. */
function endOfString(source: string, at: number): number {
  let end = at;
  do {
    end = source.indexOf('"', end + 1);
    if (end < 0) return source.length;
  } while (isEscaped(source, end));
  return end + 1;
}

function isEscaped(source: string, at: number): boolean {
  let first = at;
  while (source[first - 1] === '\\') first--;
  return (at - first) % 2 === 1;
}
