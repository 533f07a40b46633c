import type { Conjunction, Selector } from './ast.ts';
import type { Filter } from './filter.ts';

/** Beyond it a look-up is no gain, and Postgres takes only so many parameters. */
const MAX_TERMS = 500;

/** A column of text, which counts as absent when it is empty. */
export interface TextColumn {
  column: string;
  /** The field is there even when it is empty. */
  isAlwaysPresent?: boolean;
  /** How to ask for one value, given its placeholder, where `column = value` would find no index. */
  equals?: (placeholder: string) => string;
}

/** Where a table keeps what filters name. Names go into the SQL as they are. */
export interface SqlColumns {
  /** By field, e.g. `runtime.name`. */
  texts: Readonly<Record<string, TextColumn>>;
  labels?: {
    /** Of the type `jsonb`. */
    column: string;
    /** Keys that objects are given elsewhere. */
    notStored: ReadonlySet<string>;
  };
}

/** One selector as SQL: `text` makes it of the placeholder of `value`. */
interface Term {
  text(placeholder: string): string;
  value?: string;
}

/**
 * A condition of Postgres that holds for all rows that the filter matches, and for as few others as indexes can tell:
 * `==` and presence are compiled, the rest counts as true. Undefined when nothing is left. Adds to `parameters` of the
 * statement what the condition refers to.
 */
export function compileToSql(
  { alternatives }: Filter,
  columns: SqlColumns,
  parameters: unknown[],
): string | undefined {
  const compiled = alternatives.map((selectors) => termsOf(selectors, columns));
  if (compiled.some((terms) => terms.length === 0)) return undefined;
  if (compiled.reduce((sum, terms) => sum + terms.length, 0) > MAX_TERMS) return undefined;
  const place = (value: string) => `$${parameters.push(value)}`;
  const conjunctions = compiled.map((terms) =>
    terms.map(({ text, value }) => text(value === undefined ? '' : place(value))).join(' AND '),
  );
  return `(${conjunctions.join(' OR ')})`;
}

function termsOf(selectors: Conjunction, columns: SqlColumns): Term[] {
  return selectors.map((selector) => termOf(selector, columns)).filter((term) => term !== undefined);
}

function termOf(selector: Selector, { texts, labels }: SqlColumns): Term | undefined {
  const [first, ...rest] = selector.path;
  if (first === 'labels') return labels && labelTerm(selector, rest.join('.'), labels);
  const name = selector.path.join('.');
  return Object.hasOwn(texts, name) ? textTerm(selector, texts[name]!) : undefined;
}

function textTerm(
  { operator, value }: Selector,
  { column, equals, isAlwaysPresent = false }: TextColumn,
): Term | undefined {
  if (operator === 'present') return isAlwaysPresent ? undefined : { text: () => `${column} <> ''` };
  if (operator !== 'equal' || !isStorable(value)) return undefined;
  if (value === '' && !isAlwaysPresent) return { text: () => 'false' };
  return { value, text: equals ?? ((placeholder) => `${column} = ${placeholder}`) };
}

function labelTerm(
  { operator, value }: Selector,
  key: string,
  { column, notStored }: NonNullable<SqlColumns['labels']>,
): Term | undefined {
  if (key === '' || notStored.has(key) || !isStorable(key) || !isStorable(value)) return undefined;
  if (operator === 'present') return { value: key, text: (placeholder) => `${column} ? ${placeholder}` };
  if (operator !== 'equal') return undefined;
  // An object literal would take the key `__proto__` for something else.
  const entry = JSON.stringify(Object.fromEntries([[key, value]]));
  return { value: entry, text: (placeholder) => `${column} @> ${placeholder}` };
}

/** Postgres refuses others, instead of finding nothing. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}
