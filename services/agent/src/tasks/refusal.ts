import { kindOf } from '@longshore/errors';
import { ShimGoneError } from './shim-client.ts';

/** True when the shim answered, so that what it refused did not happen. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof ShimGoneError) return false;
  return !['Canceled', 'DeadlineExceeded', 'Unavailable'].includes(kindOf(error));
}
