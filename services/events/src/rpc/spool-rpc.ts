import { invalidArgument } from '@longshore/errors';
import type { Handlers } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import { FLEET } from '@longshore/proto/headers';
import type { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import { parseEventId } from '../domain/event-rules.ts';
import type { SpoolIntake } from '../spool/spool-intake.ts';
import { eventFromSpool } from './convert.ts';

/** `longshore.events.v1.SpoolService`. The header names the node whose events these are, whatever they say. */
export function spoolRpc(intake: SpoolIntake): Handlers<typeof SpoolService> {
  return {
    async append({ events, afterId, afterSequence }, call) {
      if (call.node === FLEET) throw invalidArgument('header longshore-node is required');
      const node = parseIdentifier(call.node);
      const spooled = events.map((event) => ({
        event: eventFromSpool(event, node),
        ageMs: Math.max(0, Number(event.ageMs)),
      }));
      const after = afterId === '' ? undefined : { id: parseEventId(afterId), sequence: afterSequence };
      const appended = await intake.append(node, spooled, after, call.signal);
      return 'lostFrom' in appended ? { lost: true, firstSequence: appended.lostFrom } : appended;
    },

    async check({ id, sequence }, call) {
      const { stored, first } = await intake.check({ id: parseEventId(id), sequence }, call.signal);
      return { stored, firstSequence: first };
    },
  };
}
