export type TokenKind = 'end' | 'quoted' | 'value' | 'field' | 'separator' | 'operator' | 'illegal' | 'other';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset of the token in the input. */
  readonly start: number;
}

/** A slash or a bar quotes too, for regular expressions; whether it may stand here is the parser's matter. */
const QUOTES = '"/|';
const SEPARATORS = ',.';
const OPERATOR_CHARACTERS = '=!~';
const SIMPLE_ESCAPES = 'abfnrtv\\';
/** Digits that follow the letter of a numeric escape. */
const HEX_ESCAPES: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

const FIELD_CHARACTER = /^[A-Za-z0-9_]$/;
const SPACE = /^[\s\u0085]$/;
/** Go's unicode.IsGraphic without spaces: control, format, surrogate and unassigned characters end a value. */
const VALUE_CHARACTER = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u;
const INVALID_CHARACTER = /^[\uD800-\uDFFF\uFFFD]$/;

/**
 * Cuts a filter string into tokens. What a token is depends on the place: behind an operator, up to the next
 * separator, an unquoted run is a value. Source: containerd pkg/filters/scanner.go.
 */
export class Scanner {
  /** What is wrong with an `illegal` token; the first problem found. */
  problem = '';
  private readonly input: string;
  private offset = 0;
  private expectsValue = false;

  constructor(input: string) {
    this.input = input;
  }

  /** Offset of the next character. */
  get position(): number {
    return this.offset;
  }

  /** The next character as it stands, spaces included; `''` at the end. */
  peek(): string {
    const codePoint = this.input.codePointAt(this.offset);
    return codePoint === undefined ? '' : String.fromCodePoint(codePoint);
  }

  scan(): Token {
    while (SPACE.test(this.peek())) this.take();
    const start = this.offset;
    const kind = this.scanKind(this.take());
    return { kind, start, text: this.input.slice(start, this.offset) };
  }

  private scanKind(character: string): TokenKind {
    if (character === '') return this.problem ? 'illegal' : 'end';
    if (QUOTES.includes(character)) return this.scanQuoted(character) ? 'quoted' : 'illegal';
    if (SEPARATORS.includes(character)) {
      this.expectsValue = false;
      return 'separator';
    }
    if (OPERATOR_CHARACTERS.includes(character)) {
      this.takeWhile((next) => next !== '' && OPERATOR_CHARACTERS.includes(next));
      this.expectsValue = true;
      return 'operator';
    }
    if (this.expectsValue) {
      this.takeWhile((next) => next !== ',' && VALUE_CHARACTER.test(next));
      this.expectsValue = false;
      return 'value';
    }
    if (!FIELD_CHARACTER.test(character)) return 'other';
    this.takeWhile((next) => FIELD_CHARACTER.test(next));
    return 'field';
  }

  /** Takes one character; `''` at the end and at a character that no filter may hold. */
  private take(): string {
    const character = this.peek();
    if (character === '\0') return this.fail('unexpected null');
    if (INVALID_CHARACTER.test(character)) return this.fail('rune error');
    this.offset += character.length;
    return character;
  }

  private takeWhile(wanted: (character: string) => boolean): void {
    while (wanted(this.peek()) && this.take() !== '');
  }

  private scanQuoted(quote: string): boolean {
    let legal = true;
    for (;;) {
      const character = this.take();
      if (character === quote) return legal;
      if (character === '' || character === '\n') {
        this.fail('quoted literal not terminated');
        return false;
      }
      if (character === '\\' && !this.scanEscape(quote)) legal = false;
    }
  }

  private scanEscape(quote: string): boolean {
    const character = this.peek();
    if (character !== '' && (character === quote || SIMPLE_ESCAPES.includes(character))) {
      this.take();
      return true;
    }
    if (/^[0-7]$/.test(character)) return this.scanDigits(/^[0-7]$/, 3);
    const digits = HEX_ESCAPES[character];
    if (digits === undefined) {
      this.fail('illegal escape sequence');
      return false;
    }
    this.take();
    return this.scanDigits(/^[0-9A-Fa-f]$/, digits);
  }

  private scanDigits(digit: RegExp, count: number): boolean {
    for (let taken = 0; taken < count; taken++) {
      if (!digit.test(this.peek())) {
        this.fail('illegal numeric escape sequence');
        return false;
      }
      this.take();
    }
    return true;
  }

  private fail(problem: string): '' {
    this.problem ||= problem;
    return '';
  }
}
