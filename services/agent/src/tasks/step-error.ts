import { kindOf, LongshoreError, messageOf } from '@longshore/errors';

/** For `catch`: puts the step that failed before the error's own words, and keeps its kind. */
export function rethrow(step: string): (error: unknown) => never {
  return (error) => {
    throw new LongshoreError(kindOf(error), `${step}: ${messageOf(error)}`, { cause: error });
  };
}

/** Runs a step that is synchronous; as {@link rethrow} otherwise. */
export function inStep<T>(step: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    return rethrow(step)(error);
  }
}
