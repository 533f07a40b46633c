import { randomUUID } from 'node:crypto';

/** What can be a header again, and does not flood the logs. */
const USABLE = /^[!-~]{1,128}$/;

/** The caller's name for its request, else a new one. */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && USABLE.test(given) ? given : randomUUID();
}
