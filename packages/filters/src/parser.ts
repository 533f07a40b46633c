import type { Conjunction, Operator, Selector } from './ast.ts';
import { Scanner } from './scanner.ts';
import { unquote } from './unquote.ts';

const OPERATORS: Readonly<Record<string, Operator>> = { '==': 'equal', '!=': 'notEqual', '~=': 'matches' };

/** What is wrong with a filter string, in containerd's words, with the place marked. */
export class FilterSyntaxError extends Error {
  constructor(input: string, offset: number, problem: string) {
    super(`filters: parse error: [${marked(input, offset)}]: ${problem}`);
    this.name = 'FilterSyntaxError';
  }
}

/**
 * Parses one filter string; the empty one gives a conjunction that holds for everything.
 * Throws {@link FilterSyntaxError}. Source: containerd pkg/filters/parser.go.
 */
export function parseSelectors(input: string): Conjunction {
  return input === '' ? [] : new Parser(input).selectors();
}

class Parser {
  private readonly input: string;
  private readonly scanner: Scanner;

  constructor(input: string) {
    this.input = input;
    this.scanner = new Scanner(input);
  }

  selectors(): Conjunction {
    const selectors = [this.selector()];
    for (let next = this.scanner.peek(); next !== ''; next = this.scanner.peek()) {
      if (next !== ',') throw this.error(this.scanner.position, `unexpected input: ${next}`);
      this.scanner.scan();
      selectors.push(this.selector());
    }
    return selectors;
  }

  private selector(): Selector {
    const path = this.path();
    const next = this.scanner.peek();
    if (next === ',' || next === '') return { path, operator: 'present', value: '' };
    const operator = this.operator();
    return { path, operator, value: this.value(operator === 'matches') };
  }

  private path(): string[] {
    const path = [this.field()];
    while (this.scanner.peek() === '.') {
      this.scanner.scan();
      path.push(this.field());
    }
    return path;
  }

  private field(): string {
    const { kind, text, start } = this.scanner.scan();
    if (kind === 'field') return text;
    if (kind === 'quoted') return this.unquoted(text, start, false);
    throw this.error(start, kind === 'illegal' ? this.scanner.problem : 'expected field or quoted');
  }

  private operator(): Operator {
    const { kind, text, start } = this.scanner.scan();
    if (kind === 'illegal') throw this.error(start, this.scanner.problem);
    if (kind !== 'operator') throw this.error(start, 'expected an operator ("=="|"!="|"~=")');
    const operator = OPERATORS[text];
    if (!operator) throw this.error(start, `unsupported operator "${text}"`);
    return operator;
  }

  private value(regularExpression: boolean): string {
    const { kind, text, start } = this.scanner.scan();
    if (kind === 'value' || kind === 'field') return text;
    if (kind === 'quoted') return this.unquoted(text, start, regularExpression);
    throw this.error(start, kind === 'illegal' ? this.scanner.problem : 'expected value or quoted');
  }

  private unquoted(literal: string, start: number, anyQuote: boolean): string {
    if (!anyQuote && literal[0] !== '"') throw this.error(start, 'invalid quote encountered');
    const value = unquote(literal);
    if (value === undefined) throw this.error(start, 'unquoting failed: quote syntax error');
    return value;
  }

  private error(offset: number, problem: string): FilterSyntaxError {
    return new FilterSyntaxError(this.input, offset, problem);
  }
}

function marked(input: string, offset: number): string {
  if (offset >= input.length) return input;
  return `${input.slice(0, offset)} >|${input[offset]}|< ${input.slice(offset + 1)}`;
}
