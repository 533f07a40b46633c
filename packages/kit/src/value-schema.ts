import * as v from 'valibot';

/** What a configuration key may hold: text from the environment, or what a TOML file has. */
export type ValueSchema<T> = v.GenericSchema<unknown, T>;

export const AnyText = v.string('must be text');

export const Text = v.pipe(AnyText, v.nonEmpty('must not be empty'));

export function oneOf<const T extends readonly string[]>(...options: T) {
  return v.picklist(options, `must be one of ${options.join(', ')}`);
}

export const AnyNumber = v.pipe(v.unknown(), v.toNumber('must be a number'), v.finite('must be a number'));

export const Whole = v.pipe(
  AnyNumber,
  v.safeInteger('must be a whole number'),
  v.minValue(0, 'must be a whole number'),
);

export function wholeFrom(least: number) {
  return v.pipe(Whole, v.minValue(least, `must be at least ${least}`));
}

export const Flag = v.pipe(
  v.union([v.boolean(), v.string()], 'must be true or false'),
  v.parseBoolean(undefined, 'must be true or false'),
);

/** An array, or text with commas between. */
export function list<T>(item: ValueSchema<T>) {
  return v.pipe(
    v.unknown(),
    v.transform((raw) => (typeof raw === 'string' ? raw.split(',') : raw)),
    v.array(item, 'must be a list'),
  );
}

/** A table of texts. */
export const Table = v.pipe(
  v.unknown(),
  // What valibot calls a record may be an array.
  v.check((raw) => !Array.isArray(raw), 'must be a table'),
  v.record(AnyText, AnyText, 'must be a table'),
);

/** A table of texts, or text that can be read as one. */
export function tableOr(text: ValueSchema<Record<string, string>>): ValueSchema<Record<string, string>> {
  return v.lazy((raw) => (typeof raw === 'string' ? text : Table));
}
