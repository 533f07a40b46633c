import {
  AnyText,
  commonKeys,
  databaseKeys,
  key,
  list,
  oneOf,
  peerKey,
  Text,
  wholeFrom,
} from '@longshore/kit';
import { OIDC_ALGORITHMS } from './access/oidc-algorithms.ts';

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
  callsPerSecond: key({
    env: 'LONGSHORE_GATEWAY_CALLS_PER_SECOND',
    schema: wholeFrom(1),
    default: 2000,
    unit: 'calls/s',
    meaning: 'How many calls one caller may make in a second, by gRPC and HTTP; more are ResourceExhausted.',
  }),
  callsAtOnce: key({
    env: 'LONGSHORE_GATEWAY_CALLS_AT_ONCE',
    schema: wholeFrom(1),
    default: 1000,
    unit: 'calls',
    meaning: 'How many calls one caller may have under way, those that wait or watch among them.',
  }),
  maxConnections: key({
    env: 'LONGSHORE_GATEWAY_MAX_CONNECTIONS',
    schema: wholeFrom(1),
    default: 10_000,
    unit: 'connections',
    meaning: 'How many connections are held at a time, by gRPC and by HTTP each; more are turned away.',
  }),
  strikesPerSecond: key({
    env: 'LONGSHORE_GATEWAY_STRIKES_PER_SECOND',
    schema: wholeFrom(1),
    default: 100,
    unit: 'calls/s',
    meaning:
      'How many calls one gRPC connection may give up before their answer, or make without a credential that is good, in a ' +
      'second; ten times that at once. Then it is ended.',
  }),
  requestTimeoutMs: key({
    env: 'LONGSHORE_GATEWAY_REQUEST_TIMEOUT_MS',
    schema: wholeFrom(1),
    default: 30_000,
    unit: 'ms',
    meaning: 'How long a request may take to come, unless it is a stream.',
  }),
  unreadTimeoutMs: key({
    env: 'LONGSHORE_GATEWAY_UNREAD_TIMEOUT_MS',
    schema: wholeFrom(1),
    default: 60_000,
    unit: 'ms',
    meaning: 'How long an answer may wait for a caller that reads nothing of it; then it is cut.',
  }),
  httpBodyBytes: key({
    env: 'LONGSHORE_GATEWAY_HTTP_BODY_BYTES',
    schema: wholeFrom(1),
    default: 1024 * 1024,
    unit: 'bytes',
    meaning: 'The largest body of an HTTP request.',
  }),
  httpOrigins: key({
    env: 'LONGSHORE_GATEWAY_HTTP_ORIGINS',
    schema: list(AnyText),
    default: [],
    unit: 'origins',
    meaning:
      'Whose pages may have browsers change something here, or open a WebSocket, besides its own; separated by commas, e.g. ' +
      'https://console.example.',
  }),
  nodeTimeoutMs: key({
    env: 'LONGSHORE_GATEWAY_NODE_TIMEOUT_MS',
    schema: wholeFrom(1),
    default: 5000,
    unit: 'ms',
    meaning: 'How long a node may be silent before a list over all nodes goes on without it.',
  }),
  auditRetentionMs: key({
    env: 'LONGSHORE_GATEWAY_AUDIT_RETENTION_MS',
    schema: wholeFrom(1000),
    default: 30 * 24 * 60 * 60_000,
    unit: 'ms',
    meaning:
      'For how long the audit log can be looked up at the edge; its events are kept by the stream as all others.',
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
  oidcIssuer: key({
    env: 'LONGSHORE_GATEWAY_OIDC_ISSUER',
    schema: AnyText,
    default: '',
    unit: 'URL',
    meaning:
      'The OpenID provider whose tokens are taken as bearer tokens, as their claim iss names it. Empty: none.',
  }),
  oidcAudience: key({
    env: 'LONGSHORE_GATEWAY_OIDC_AUDIENCE',
    schema: AnyText,
    default: '',
    meaning: 'What the claim aud of those tokens must have: the name of this fleet at the provider.',
  }),
  oidcJwksUrl: key({
    env: 'LONGSHORE_GATEWAY_OIDC_JWKS_URL',
    schema: AnyText,
    default: '',
    unit: 'URL',
    meaning: "Where the provider's keys are; https, unless it is on this machine.",
  }),
  oidcAlgorithms: key({
    env: 'LONGSHORE_GATEWAY_OIDC_ALGORITHMS',
    schema: list(oneOf(...OIDC_ALGORITHMS)),
    default: ['RS256', 'ES256', 'EdDSA'],
    meaning: `With which the tokens may be signed, with commas between: ${OIDC_ALGORITHMS.join(', ')}.`,
  }),
  oidcGroupsClaim: key({
    env: 'LONGSHORE_GATEWAY_OIDC_GROUPS_CLAIM',
    schema: Text,
    default: 'groups',
    meaning: 'The claim of those tokens that has the names of groups, to which roles can be bound.',
  }),
  oidcClockToleranceMs: key({
    env: 'LONGSHORE_GATEWAY_OIDC_CLOCK_TOLERANCE_MS',
    schema: wholeFrom(0),
    default: 5_000,
    unit: 'ms',
    meaning: "How far the provider's clock may be off.",
  }),
  content: peerKey('content'),
  image: peerKey('image'),
  snapshot: peerKey('snapshot'),
  runtime: peerKey('runtime'),
  events: peerKey('events'),
};
