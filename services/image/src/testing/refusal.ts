import { kindOf, messageOf } from '@longshore/errors';

/** Kind and message of what a call was refused with. */
export function refusal(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'no error',
    (error) => `${kindOf(error)}: ${messageOf(error)}`,
  );
}
