/** What a filter sees of one field: an absent one has the value `''`. */
export interface FieldValue {
  readonly value: string;
  readonly present: boolean;
}

/** Answers for a field path such as `['labels', 'a', 'b']`; unknown paths are {@link ABSENT}. */
export type Adaptor = (path: readonly string[]) => FieldValue;

export const ABSENT: FieldValue = Object.freeze({ value: '', present: false });

/** A string field counts as present when it is not empty, as in containerd's adaptors. */
export function stringField(value: string | undefined): FieldValue {
  return value ? { value, present: true } : ABSENT;
}

/**
 * A field of a map, given the path below the map's own name: the parts are joined by `.` again, so
 * `labels.a.b` and `labels."a.b"` both name the key `a.b`.
 */
export function mapField(labels: Readonly<Record<string, string>>, keyPath: readonly string[]): FieldValue {
  if (keyPath.length === 0) return ABSENT;
  const key = keyPath.join('.');
  return Object.hasOwn(labels, key) ? { value: labels[key] ?? '', present: true } : ABSENT;
}

/**
 * The adaptor of an object with plain string fields and labels, which most are. A field's name may hold a dot, e.g.
 * `runtime.name`, which stands for one in the path. What a path has behind a field's name says nothing: `id.x` is `id`.
 */
export function objectAdaptor(
  fields: Readonly<Record<string, string | undefined>>,
  labels: Readonly<Record<string, string>> = {},
): Adaptor {
  return (path) => {
    const [first = '', second] = path;
    if (first === 'labels') return mapField(labels, path.slice(1));
    if (first.includes('.')) return ABSENT;
    if (Object.hasOwn(fields, first)) return stringField(fields[first]);
    const name = `${first}.${second}`;
    return Object.hasOwn(fields, name) ? stringField(fields[name]) : ABSENT;
  };
}
