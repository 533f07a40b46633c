const CONTROL_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

const ESCAPE = /\\(?:([abfnrtv])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|(.))/gsu;
const MAX_CODE_POINT = 0x10ffff;
const MAX_BYTE = 0xff;

/**
 * The value of a literal between two equal quotes, with Go's string escapes; `undefined` when an escape says
 * nothing. `\xNN` and octal escapes give bytes, so two of them may make up one character.
 * Source: containerd pkg/filters/quote.go.
 */
export function unquote(literal: string): string | undefined {
  const quote = literal[0];
  const body = literal.slice(1, -1);
  if (!body.includes('\\')) return body;
  const parts: Buffer[] = [];
  let end = 0;
  for (const match of body.matchAll(ESCAPE)) {
    const bytes = escapeBytes(match, quote);
    if (!bytes) return undefined;
    parts.push(Buffer.from(body.slice(end, match.index)), bytes);
    end = match.index + match[0].length;
  }
  parts.push(Buffer.from(body.slice(end)));
  return Buffer.concat(parts).toString();
}

function escapeBytes(match: RegExpMatchArray, quote: string | undefined): Buffer | undefined {
  const [, control, byte, short, long, octal, other] = match;
  if (control) return Buffer.from(CONTROL_ESCAPES[control] ?? '');
  if (byte) return Buffer.from(byte, 'hex');
  if (octal) return byteOf(Number.parseInt(octal, 8));
  if (other) return other === '\\' || other === quote ? Buffer.from(other) : undefined;
  const codePoint = Number.parseInt(short ?? long ?? '', 16);
  return codePoint <= MAX_CODE_POINT ? Buffer.from(String.fromCodePoint(codePoint)) : undefined;
}

function byteOf(value: number): Buffer | undefined {
  return value <= MAX_BYTE ? Buffer.from([value]) : undefined;
}
