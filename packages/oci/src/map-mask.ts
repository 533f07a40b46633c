/**
 * Applies the paths of an update mask to a map field: `<field>` replaces the whole map, `<field>.<key>` sets one
 * key, dots in the key included; a key that the request leaves out is deleted. Other paths are left alone.
 */
export function maskMap<V>(
  field: string,
  stored: Readonly<Record<string, V>>,
  requested: Readonly<Record<string, V>>,
  paths: readonly string[],
): Record<string, V> {
  let result = { ...stored };
  for (const path of paths) {
    if (path === field) result = { ...requested };
    if (!path.startsWith(`${field}.`)) continue;
    const key = path.slice(field.length + 1);
    if (Object.hasOwn(requested, key)) result[key] = requested[key] as V;
    else delete result[key];
  }
  return result;
}

/** Whether an update mask's path names the map field or one of its keys. */
export function isMapPath(field: string, path: string): boolean {
  return path === field || path.startsWith(`${field}.`);
}
