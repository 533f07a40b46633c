import { type ErrorKind, kindOf } from '@longshore/errors';

const REFUSALS: ReadonlySet<ErrorKind> = new Set([
  'Unauthenticated',
  'PermissionDenied',
  'ResourceExhausted',
  'InvalidArgument',
  'Unimplemented',
]);

/** Whether the edge turned a call away by an error of its own, rather than failed at it. */
export function isRefusal(error: unknown): boolean {
  return REFUSALS.has(kindOf(error));
}
