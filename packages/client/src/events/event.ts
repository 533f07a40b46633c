import type { Any } from '@bufbuild/protobuf/wkt';
import type { Envelope } from '@longshore/proto/containerd/types/event';
import { dateOf } from '../call-time.ts';
import { decodeEvent, type KnownEvent } from './known-events.ts';

export interface ServerEvent {
  readonly namespace: string;
  /** e.g. `/tasks/exit` */
  readonly topic: string;
  readonly time: Date | undefined;
  /** Undefined for what is not containerd's own. */
  readonly data: KnownEvent | undefined;
  readonly raw: Pick<Any, 'typeUrl' | 'value'>;
}

export function eventFromProto({ namespace, topic, timestamp, event }: Envelope): ServerEvent {
  const raw = { typeUrl: event?.typeUrl ?? '', value: event?.value ?? new Uint8Array() };
  return { namespace, topic, time: dateOf(timestamp), data: decodeEvent(raw), raw };
}
