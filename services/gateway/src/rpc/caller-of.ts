import { LongshoreError } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { type Caller, decodeCaller } from '../access/caller.ts';

/** Who makes a call of the gateway's own, as the door says. Throws Unauthenticated for one that came otherwise. */
export function callerOf(call: Call): Caller {
  const details = call.header(Header.CallerDetails);
  if (details !== undefined) return decodeCaller(details);
  throw new LongshoreError('Unauthenticated', 'the call did not come through the door: unauthenticated');
}
