import type { ServiceClient } from '@longshore/client';
import type { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import type { SpoolSenderOptions } from './spool-sender.ts';

/** Sends to the events service; `headers` name the node. */
export function toStream(
  spools: ServiceClient<typeof SpoolService>,
  headers: Record<string, string>,
): Pick<SpoolSenderOptions, 'append' | 'check'> {
  return {
    async append(entries, signal) {
      const events = entries.map(({ id, envelope, recordedMs }) => {
        return { id, envelope, ageMs: BigInt(Math.max(0, Date.now() - recordedMs)) };
      });
      return (await spools.append({ events }, { signal, headers })).sequences;
    },
    async check(id, sequence, signal) {
      const { stored, firstSequence } = await spools.check({ id, sequence }, { signal, headers });
      return { stored, first: firstSequence };
    },
  };
}
