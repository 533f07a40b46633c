import { LongshoreError } from '@longshore/errors';

export function unauthenticated(problem: string, cause?: unknown): LongshoreError {
  return new LongshoreError('Unauthenticated', `${problem}: unauthenticated`, { cause });
}
