/** One `"key": value` of an object in JSON source. */
export interface JsonMember {
  key: string;
  /** Where the value's source begins, behind the colon; there may be white space first. */
  valueAt: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The members of the object that begins at `at`, in order, repeated keys each time: `JSON.parse` shows the last one
 * only. The source must be valid JSON. Empty for a value that is no object.
 */
export function jsonMembers(source: string, at = 0): JsonMember[] {
  const members: JsonMember[] = [];
  const start = at + source.slice(at).search(/\S/);
  if (source[start] !== '{') return members;
  let depth = 0;
  let isKeyNext = false;
  for (let i = start; i < source.length; i++) {
    const character = source[i];
    if (character === '"') {
      const end = endOfString(source, i);
      if (depth === 1 && isKeyNext) {
        members.push({ key: JSON.parse(source.slice(i, end)), valueAt: source.indexOf(':', end) + 1 });
        isKeyNext = false;
      }
      i = end - 1;
    } else if (character === '{' || character === '[') {
      depth++;
      isKeyNext = depth === 1;
    } else if (character === '}' || character === ']') {
      depth--;
      if (depth === 0) break;
    } else if (character === ',' && depth === 1) {
      isKeyNext = true;
    }
  }
  return members;
}

/** Behind the closing quote of the string whose opening quote is at `at`. */
function endOfString(source: string, at: number): number {
  for (let i = at + 1; ; i++) {
    const code = source.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
}
