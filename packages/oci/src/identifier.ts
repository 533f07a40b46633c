import { invalidArgument } from '@longshore/errors';

/** Identifiers are used as path components, also below other directories, so they must stay short. */
const MAX_LENGTH_BYTES = 76;
const PATTERN = '^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$';
const IDENTIFIER = new RegExp(PATTERN);

/**
 * Checks the name of a namespace, container, sandbox, task, exec or topic component and returns it. Throws
 * InvalidArgument in containerd's words; `subject` says what the identifier is for, e.g. `namespace`.
 * Source: containerd pkg/identifiers/validate.go.
 */
export function parseIdentifier(text: string, subject?: string): string {
  const problem = identifierProblem(text);
  if (problem) throw invalidArgument(subject ? `${subject} validation: ${problem}` : problem);
  return text;
}

function identifierProblem(text: string): string | undefined {
  if (text === '') return 'identifier must not be empty';
  if (Buffer.byteLength(text) > MAX_LENGTH_BYTES) {
    return `identifier ${JSON.stringify(text)} greater than maximum length (${MAX_LENGTH_BYTES} characters)`;
  }
  return IDENTIFIER.test(text) ? undefined : `identifier ${JSON.stringify(text)} must match ${PATTERN}`;
}
