/** `present` is the operator of a field path that stands alone. */
export type Operator = 'present' | 'equal' | 'notEqual' | 'matches';

/** One test of one field; `labels."a.b"==c` has the path `['labels', 'a.b']`. */
export interface Selector {
  readonly path: readonly string[];
  readonly operator: Operator;
  /** Unquoted; the empty string for `present`. */
  readonly value: string;
}

/** Selectors that must all hold; an empty one holds for everything. */
export type Conjunction = readonly Selector[];

/** Alternatives of which one must hold. Never empty: a request without filters is one empty conjunction. */
export type Disjunction = readonly Conjunction[];
