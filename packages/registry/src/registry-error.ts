import { type ErrorKind, LongshoreError } from '@longshore/errors';

const KINDS: Readonly<Record<number, [ErrorKind, string]>> = {
  400: ['InvalidArgument', 'invalid argument'],
  401: ['Unauthenticated', 'unauthenticated'],
  403: ['PermissionDenied', 'permission denied'],
  404: ['NotFound', 'not found'],
  416: ['OutOfRange', 'out of range'],
  429: ['ResourceExhausted', 'resource exhausted'],
};

/** A registry's own words are shown up to this length: they may be a whole page. */
const MAX_WORDS = 500;

/** What a registry answered, as an error. `subject` is what was asked for, e.g. `image "host/a:1"`. */
export function registryError(subject: string, status: number, body: string): LongshoreError {
  const [kind, tail] =
    KINDS[status] ??
    (status >= 500 ? (['Unavailable', 'unavailable'] as const) : (['Unknown', 'unknown'] as const));
  return new LongshoreError(kind, `${subject}: registry answered ${status}${wordsOf(body)}: ${tail}`);
}

/** Source: OCI distribution-spec, "Error Codes". */
function wordsOf(body: string): string {
  const text = errorsIn(body) ?? body.trim();
  return text === '' ? '' : ` ${text.replace(/\s+/g, ' ').slice(0, MAX_WORDS)}`;
}

function errorsIn(body: string): string | undefined {
  try {
    const document = JSON.parse(body) as {
      errors?: { code?: unknown; message?: unknown }[];
      details?: unknown;
    };
    if (!Array.isArray(document.errors))
      return typeof document.details === 'string' ? document.details : undefined;
    return document.errors.map(({ code, message }) => String(message || code)).join(', ');
  } catch {
    return undefined;
  }
}
