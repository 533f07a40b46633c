const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;

/**
 * A key that stands twice in one object of a JSON document, whatever its case; undefined when there is none. The parts that
 * read a spec after the edge do not agree on which of two counts, and Go's take a key in any case.
 */
export function duplicateKey(json: string): string | undefined {
  /** Keys of the objects around, lower case; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let last = '';
  for (const [token] of json.matchAll(TOKENS)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':') {
      const key = String(JSON.parse(last)).toLowerCase();
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
    last = token;
  }
  return undefined;
}
