import { invalidArgument, messageOf } from '@longshore/errors';
import { RE2JS, RE2JSException } from 're2js';
import type { Adaptor } from './adaptor.ts';
import type { Disjunction, Selector } from './ast.ts';
import { parseSelectors } from './parser.ts';

export interface Filter {
  /** The filter as data, for those who compile it to something else. */
  readonly alternatives: Disjunction;
  /** Whether it holds for every object, so that asking is needless. */
  readonly matchesAll: boolean;
  matches(adaptor: Adaptor): boolean;
}

/**
 * Of an expression, in characters and in steps that it is compiled to. Matching takes time in proportion to the steps and to
 * the value, whatever the expression; containerd has no such limits, and a machine that nobody else waits for.
 */
const MAX_EXPRESSION_LENGTH = 16_384;
const MAX_EXPRESSION_STEPS = 16_384;

type Test = (adaptor: Adaptor) => boolean;

/**
 * Parses the `filters` of a request: an object matches when ANY string does; none at all match everything.
 * Throws InvalidArgument with the place of the mistake. Source: containerd pkg/filters.
 */
export function parseFilters(filters: readonly string[]): Filter {
  const alternatives = filters.length === 0 ? [[]] : filters.map(parseOne);
  const tests = alternatives.map((selectors) => selectors.map(compile));
  return {
    alternatives,
    matchesAll: alternatives.some((selectors) => selectors.length === 0),
    matches: (adaptor) => tests.some((all) => all.every((test) => test(adaptor))),
  };
}

function parseOne(filter: string) {
  try {
    return parseSelectors(filter);
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
}

function compile({ path, operator, value }: Selector): Test {
  switch (operator) {
    case 'present':
      return (adaptor) => adaptor(path).present;
    case 'equal':
      return (adaptor) => {
        const field = adaptor(path);
        return field.present && field.value === value;
      };
    case 'notEqual':
      return (adaptor) => adaptor(path).value !== value;
    case 'matches': {
      const expression = compileExpression(value);
      return (adaptor) => expression?.test(adaptor(path).value) ?? false;
    }
  }
}

/**
 * A bad expression matches nothing: containerd finds it while matching, when there is no call left to fail. Throws
 * InvalidArgument for one that is too large.
 */
function compileExpression(expression: string): RE2JS | undefined {
  if (expression.length > MAX_EXPRESSION_LENGTH) throw tooLarge();
  try {
    const compiled = RE2JS.compile(expression);
    if (compiled.programSize() > MAX_EXPRESSION_STEPS) throw tooLarge();
    return compiled;
  } catch (error) {
    if (error instanceof RE2JSException) return undefined;
    throw error;
  }
}

function tooLarge(): Error {
  return invalidArgument('filters: regular expression is too large');
}
