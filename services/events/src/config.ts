import {
  AnyText,
  commonKeys,
  databaseKeys,
  key,
  list,
  oneOf,
  peerKey,
  Text,
  type ValueSchema,
  Whole,
  wholeFrom,
} from '@longshore/kit';
import { LEADER_TTL_MS } from '@longshore/postgres';
import * as v from 'valibot';

const DAY_MS = 24 * 3600 * 1000;

/** Names that go into SQL as they are. */
const SchemaName = v.pipe(AnyText, v.regex(/^[a-z][a-z_]*$/, 'may hold small letters and "_"'));

function someOf<T>(item: ValueSchema<T>) {
  return v.pipe(list(item), v.nonEmpty('must name one at least'));
}

export const keys = {
  ...commonKeys('events'),
  ...databaseKeys(),
  runtime: peerKey('runtime'),
  natsServers: key({
    env: 'NATS_URL',
    schema: someOf(Text),
    default: ['nats://127.0.0.1:4222'],
    unit: 'URLs',
    meaning: 'NATS servers with JetStream, separated by commas.',
  }),
  natsUser: key({
    env: 'NATS_USER',
    schema: AnyText,
    default: '',
    meaning: 'User of NATS; empty for none.',
  }),
  natsPassword: key({
    env: 'NATS_PASSWORD',
    schema: AnyText,
    default: '',
    secret: true,
    meaning: 'Password of that user.',
  }),
  natsCredsFile: key({
    env: 'NATS_CREDS',
    schema: AnyText,
    default: '',
    unit: 'path',
    meaning: 'Credentials file (JWT and seed) for NATS; instead of user and password.',
  }),
  natsCaFile: key({
    env: 'NATS_CA',
    schema: AnyText,
    default: '',
    unit: 'path',
    meaning: 'Certificate authorities in PEM for NATS over TLS; empty for those of the system.',
  }),
  streamMaxAgeMs: key({
    env: 'LONGSHORE_EVENTS_MAX_AGE_MS',
    schema: Whole,
    default: 7 * DAY_MS,
    unit: 'ms',
    meaning: 'How long the stream keeps events; 0 for ever.',
  }),
  streamMaxBytes: key({
    env: 'LONGSHORE_EVENTS_MAX_BYTES',
    schema: Whole,
    default: 0,
    unit: 'bytes',
    meaning:
      'Size above which the stream drops its oldest events; 0 for no limit. NATS sets this much room aside.',
  }),
  streamReplicas: key({
    env: 'LONGSHORE_EVENTS_REPLICAS',
    schema: Whole,
    default: 1,
    unit: 'servers',
    meaning: 'NATS servers that hold a copy of the stream; 3 in a cluster.',
  }),
  streamStorage: key<'file' | 'memory'>({
    env: 'LONGSHORE_EVENTS_STORAGE',
    schema: oneOf('file', 'memory'),
    default: 'file',
    meaning: 'Where NATS keeps the stream. Fixed once the stream exists.',
  }),
  streamDedupWindowMs: key({
    env: 'LONGSHORE_EVENTS_DEDUP_WINDOW_MS',
    schema: Whole,
    default: 120_000,
    unit: 'ms',
    meaning:
      'For how long NATS itself drops repeated events. It holds their ids in memory; beyond it the relay looks.',
  }),
  relaySchemas: key({
    env: 'LONGSHORE_RELAY_SCHEMAS',
    schema: someOf(SchemaName),
    default: ['content', 'image', 'snapshot', 'runtime', 'gateway', 'events'],
    meaning:
      'Schemas whose outbox is relayed, separated by commas; one that does not exist yet is waited for.',
  }),
  relayPollMs: key({
    env: 'LONGSHORE_RELAY_POLL_MS',
    schema: Whole,
    default: 5000,
    unit: 'ms',
    meaning: 'How often outboxes are looked at when nothing wakes the relay.',
  }),
  relayLeaderTtlMs: key({
    env: 'LONGSHORE_RELAY_LEADER_TTL_MS',
    schema: wholeFrom(500),
    default: LEADER_TTL_MS,
    unit: 'ms',
    meaning:
      'How long a replica that died, or hangs, keeps its partitions from the others. The same for all replicas.',
  }),
  relayKeepMs: key({
    env: 'LONGSHORE_RELAY_KEEP_MS',
    schema: Whole,
    default: DAY_MS,
    unit: 'ms',
    meaning: 'How long relayed rows are kept, to be published again if NATS loses what it acknowledged.',
  }),
};
