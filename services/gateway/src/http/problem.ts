import { type ErrorKind, kindOf, LongshoreError, messageOf, toHttpStatus } from '@longshore/errors';
import { http } from '@longshore/transport';
import { type FieldProblem, InvalidRequest } from './validation.ts';

/** Errors as RFC 9457 has them. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const problemSchema = {
  description: 'An error (RFC 9457).',
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'kind', 'request_id'],
  properties: {
    type: { type: 'string', description: 'Always about:blank: `kind` tells errors apart.' },
    title: { type: 'string', description: 'The words of the status code.' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong, for people.' },
    kind: { type: 'string', description: "The error's class as containerd's API has it, e.g. NotFound." },
    request_id: { type: 'string', description: 'Names the request in the logs of every service.' },
    errors: {
      type: 'array',
      description: 'Of a request that is not as described: which fields, and what is wrong with them.',
      items: {
        type: 'object',
        required: ['in', 'field', 'detail'],
        properties: {
          in: { enum: ['query', 'path', 'body', 'header'] },
          field: { type: 'string' },
          detail: { type: 'string' },
        },
      },
    },
  },
} as const;

export interface Problem {
  type: 'about:blank';
  title: string;
  status: number;
  detail: string;
  kind: ErrorKind;
  request_id: string;
  errors?: readonly FieldProblem[];
}

/** What fastify says about a request that it refuses by itself. */
interface HttpError extends Error {
  statusCode: number;
}

/** The words of an error that is not foreseen stay in the log. */
export function problemOf(error: unknown, requestId: string): Problem {
  const isRefusal = isHttpError(error) && error.statusCode < 500;
  const isKnown = error instanceof LongshoreError || isRefusal;
  const status = isRefusal ? error.statusCode : toHttpStatus(error);
  return {
    type: 'about:blank',
    title: http.STATUS_CODES[status] ?? 'Error',
    status,
    detail: isKnown ? messageOf(error) : 'internal error',
    kind: isRefusal ? 'InvalidArgument' : kindOf(error),
    request_id: requestId,
    ...(error instanceof InvalidRequest && { errors: error.fields }),
  };
}

function isHttpError(error: unknown): error is HttpError {
  return error instanceof Error && typeof (error as Partial<HttpError>).statusCode === 'number';
}
