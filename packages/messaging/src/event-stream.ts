import { isKind } from '@longshore/errors';
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamUpdateConfig,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/nats-core';
import { fromNatsError } from './nats-error.ts';
import { ALL_EVENTS } from './subjects.ts';

/** The stream of every lifecycle event. */
export const EVENT_STREAM = 'LONGSHORE_EVENTS';

export interface EventStreamOptions {
  /** Older events are removed. 0 keeps them for ever. */
  maxAgeMs: number;
  /** The oldest events are removed above this size. 0 for no limit. */
  maxBytes: number;
  /** Servers that hold a copy. */
  replicas: number;
  /** Fixed when the stream is made. */
  storage: 'file' | 'memory';
  /** For how long the server itself drops a message whose id it has stored. It holds the ids in memory. */
  dedupWindowMs: number;
}

/**
 * Creates the stream, or brings its settings up to date; safe to run by many at once. Only settings that NATS 2.9
 * has. Rejects when the server refuses them, as InvalidArgument or Unavailable: its error codes do not say which.
 */
export async function ensureEventStream(
  connection: NatsConnection,
  options: EventStreamOptions,
): Promise<void> {
  try {
    const manager = await jetstreamManager(connection);
    if (await update(manager, options)) return;
    await create(manager, options);
  } catch (error) {
    throw fromNatsError(error);
  }
}

/** False when there is no stream yet. */
async function update(manager: JetStreamManager, options: EventStreamOptions): Promise<boolean> {
  const wanted = changeable(options);
  try {
    const { config } = await manager.streams.info(EVENT_STREAM);
    const keys = Object.keys(wanted) as (keyof typeof wanted)[];
    const isCurrent = keys.every((key) => JSON.stringify(config[key]) === JSON.stringify(wanted[key]));
    if (!isCurrent) await manager.streams.update(EVENT_STREAM, wanted);
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return false;
    throw error;
  }
}

async function create(manager: JetStreamManager, options: EventStreamOptions): Promise<void> {
  try {
    await manager.streams.add({
      name: EVENT_STREAM,
      ...changeable(options),
      retention: RetentionPolicy.Limits,
      storage: options.storage === 'file' ? StorageType.File : StorageType.Memory,
    });
  } catch (error) {
    // Another replica made it in between, with other settings: the server says so as a bad request.
    if (!isKind(fromNatsError(error), 'InvalidArgument') || !(await update(manager, options))) throw error;
  }
}

function changeable(options: EventStreamOptions): Partial<StreamUpdateConfig> {
  return {
    subjects: [ALL_EVENTS],
    max_age: nanos(options.maxAgeMs),
    max_bytes: options.maxBytes === 0 ? -1 : options.maxBytes,
    discard: DiscardPolicy.Old,
    num_replicas: options.replicas,
    duplicate_window: nanos(options.dedupWindowMs),
  };
}
