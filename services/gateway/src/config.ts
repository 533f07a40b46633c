import { commonKeys, databaseKeys, key, peerKey, Text, wholeFrom } from '@longshore/kit';

export const keys = {
  ...commonKeys('gateway'),
  ...databaseKeys(),
  httpListen: key({
    env: 'LONGSHORE_GATEWAY_HTTP_LISTEN',
    schema: Text,
    default: '127.0.0.1:0',
    unit: 'host:port',
    meaning:
      'Where HTTP/JSON is answered; port 0 takes a free one. Other hosts than this one reach it with TLS only, by ' +
      'LONGSHORE_TLS_CERT and LONGSHORE_TLS_KEY.',
  }),
  nodeTimeoutMs: key({
    env: 'LONGSHORE_GATEWAY_NODE_TIMEOUT_MS',
    schema: wholeFrom(1),
    default: 5000,
    unit: 'ms',
    meaning: 'How long a node may be silent before a list over all nodes goes on without it.',
  }),
  accessMaxAgeMs: key({
    env: 'LONGSHORE_GATEWAY_ACCESS_MAX_AGE_MS',
    schema: wholeFrom(1000),
    default: 60_000,
    unit: 'ms',
    meaning:
      'How long callers are let in by what was last known of tokens and roles while Postgres is away, and so how long a ' +
      'gateway that is cut off from it may take a revoked token. Then their calls are Unavailable.',
  }),
  content: peerKey('content'),
  image: peerKey('image'),
  snapshot: peerKey('snapshot'),
  runtime: peerKey('runtime'),
  events: peerKey('events'),
};
