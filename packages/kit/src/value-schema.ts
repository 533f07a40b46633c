/**
 * What a configuration key may hold: text from the environment, or what a TOML file has. Written here because the usual
 * library for it takes 70 ms and 17 MB of every start, mostly for its messages in fifty languages.
 */
export class ValueSchema<T> {
  /** Throws an Error that says, in its message, what is wrong with the value. */
  readonly parse: (raw: unknown) => T;

  constructor(parse: (raw: unknown) => T) {
    this.parse = parse;
  }

  /** What is made of the value; `change` may throw as `parse` does. */
  to<U>(change: (value: T) => U): ValueSchema<U> {
    return new ValueSchema((raw) => change(this.parse(raw)));
  }
}

export class NumberSchema extends ValueSchema<number> {
  min(least: number): NumberSchema {
    return this.#such((value) => value >= least, `must be at least ${least}`);
  }

  max(most: number): NumberSchema {
    return this.#such((value) => value <= most, `must be at most ${most}`);
  }

  #such(holds: (value: number) => boolean, problem: string): NumberSchema {
    return new NumberSchema((raw) => {
      const value = this.parse(raw);
      if (!holds(value)) throw new Error(problem);
      return value;
    });
  }
}

export const AnyText = new ValueSchema((raw) => {
  if (typeof raw !== 'string') throw new Error('must be text');
  return raw;
});

export const Text = AnyText.to((text) => {
  if (text === '') throw new Error('must not be empty');
  return text;
});

/** `problem` for a person who does not read regular expressions. */
export function matching(pattern: RegExp, problem: string): ValueSchema<string> {
  return AnyText.to((text) => {
    if (!pattern.test(text)) throw new Error(problem);
    return text;
  });
}

export function oneOf<const T extends string>(...options: T[]): ValueSchema<T> {
  return new ValueSchema((raw) => {
    const found = options.find((option) => option === raw);
    if (found === undefined) throw new Error(`must be one of ${options.join(', ')}`);
    return found;
  });
}

export const AnyNumber = new NumberSchema((raw) => {
  const value = Number(raw);
  if (!Number.isFinite(value)) throw new Error('must be a number');
  return value;
});

export const Whole = new NumberSchema((raw) => {
  const value = AnyNumber.parse(raw);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error('must be a whole number');
  return value;
});

const YES: readonly unknown[] = [true, 'true', '1', 'yes', 'on', 'y', 'enabled'];
const NO: readonly unknown[] = [false, 'false', '0', 'no', 'off', 'n', 'disabled'];

export const Flag = new ValueSchema((raw) => {
  const value = typeof raw === 'string' ? raw.toLowerCase() : raw;
  if (!YES.includes(value) && !NO.includes(value)) throw new Error('must be true or false');
  return YES.includes(value);
});

/** An absolute URL of one of the protocols, such as `https`. */
export function url(...protocols: string[]): ValueSchema<string> {
  return AnyText.to((text) => {
    const protocol = URL.parse(text)?.protocol.slice(0, -1);
    if (!protocol || !protocols.includes(protocol)) throw new Error(`must be a URL: ${protocols.join(', ')}`);
    return text.trim();
  });
}

/** An array, or text with commas between. */
export function list<T>(item: ValueSchema<T>): ValueSchema<T[]> {
  return new ValueSchema((raw) => {
    const items: unknown = typeof raw === 'string' ? raw.split(',') : raw;
    if (!Array.isArray(items)) throw new Error('must be a list');
    return items.map((part) => item.parse(part));
  });
}

/** A list that has something in it. */
export function someOf<T>(item: ValueSchema<T>): ValueSchema<T[]> {
  return list(item).to((items) => {
    if (items.length === 0) throw new Error('must name one at least');
    return items;
  });
}

/** A table of texts. */
export const Table = new ValueSchema((raw) => {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new Error('must be a table');
  return Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, AnyText.parse(value)]));
});

/** A table of texts, or text that can be read as one. */
export function tableOr(
  fromText: (text: string) => Record<string, string>,
): ValueSchema<Record<string, string>> {
  return new ValueSchema((raw) => (typeof raw === 'string' ? fromText(raw) : Table.parse(raw)));
}
