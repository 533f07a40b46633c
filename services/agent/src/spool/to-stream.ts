import type { SpoolService } from '@longshore/proto/longshore/events/v1/spool';
import type { ServiceClient } from '@longshore/rpc';
import type { SpoolSenderOptions } from './spool-sender.ts';

/** Sends to the events service; `headers` name the node. */
export function toStream(
  spools: ServiceClient<typeof SpoolService>,
  headers: Record<string, string>,
): Pick<SpoolSenderOptions, 'append' | 'check'> {
  return {
    async append(entries, after, signal) {
      const events = entries.map(({ id, envelope, recordedMs }) => {
        return { id, envelope, ageMs: BigInt(Math.max(0, Date.now() - recordedMs)) };
      });
      const request = { events, afterId: after?.id ?? '', afterSequence: after?.streamSequence ?? 0n };
      const { sequences, lost, firstSequence } = await spools.append(request, { signal, headers });
      return lost ? { lostFrom: firstSequence } : { places: sequences };
    },
    async check(id, sequence, signal) {
      const { stored, firstSequence } = await spools.check({ id, sequence }, { signal, headers });
      return { stored, first: firstSequence };
    },
  };
}
