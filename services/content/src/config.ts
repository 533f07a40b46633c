import { commonKeys, databaseKeys, key, peerKey, Text, Whole, watchKeys } from '@longshore/kit';
import { z } from 'zod';

/** A URL is signed with a key that is valid for at least a day more. */
const MAX_LOCATE_MS = 12 * 60 * 60 * 1000;

const BaseUrls = z.union([
  z.array(z.string()),
  z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(z.url({ protocol: /^https$/ }))),
]);

export const keys = {
  ...commonKeys('content'),
  ...databaseKeys(),
  ...watchKeys(),
  runtime: peerKey('runtime'),
  directory: key({
    env: 'LONGSHORE_CONTENT_DIRECTORY',
    schema: Text,
    default: (earlier) => `${earlier.root}/content`,
    defaultText: '$LONGSHORE_ROOT/content',
    unit: 'path',
    meaning: 'Where the bytes of blobs are kept.',
  }),
  sharing: key({
    env: 'LONGSHORE_CONTENT_SHARING',
    schema: z.enum(['shared', 'isolated']),
    default: 'shared',
    meaning: "Whether a node's namespaces may link blobs that the node holds without sending their bytes.",
  }),
  blobsListen: key({
    env: 'LONGSHORE_CONTENT_BLOBS_LISTEN',
    schema: z.string(),
    default: '',
    unit: 'host:port',
    meaning:
      'Where blobs are read over HTTPS, by signed URLs, with the certificate of LONGSHORE_TLS_CERT; empty: nowhere, and ' +
      'no URLs are given out. Every replica can answer for the URLs of all.',
  }),
  blobsUrls: key({
    env: 'LONGSHORE_CONTENT_BLOBS_URL',
    schema: BaseUrls,
    default: [],
    defaultText: 'https:// and the address that is listened on',
    unit: 'URL, URL, …',
    meaning:
      'What URLs of blobs begin with, in turn: the replicas, or a balancer before them, as nodes reach them.',
  }),
  locateMs: key({
    env: 'LONGSHORE_CONTENT_LOCATE_MS',
    schema: Whole.min(1000).max(MAX_LOCATE_MS),
    default: 15 * 60 * 1000,
    unit: 'ms',
    meaning:
      'How long a URL of a blob can be used; bytes stay at least as long after nothing refers to them any more.',
  }),
  graceMs: key({
    env: 'LONGSHORE_CONTENT_GRACE_MS',
    schema: Whole,
    default: 10 * 60 * 1000,
    unit: 'ms',
    meaning:
      'How long bytes stay after nothing refers to them any more: at least as long as a located file is read; ' +
      'with backups, the time between two of them.',
  }),
  claimTtlMs: key({
    env: 'LONGSHORE_CONTENT_CLAIM_TTL_MS',
    schema: Whole.min(100),
    default: 30_000,
    unit: 'ms',
    meaning: 'How long whoever fetches a blob for all may be silent before another takes over.',
  }),
  gcIntervalMs: key({
    env: 'LONGSHORE_CONTENT_GC_INTERVAL_MS',
    schema: Whole,
    default: 60 * 60 * 1000,
    unit: 'ms',
    meaning: 'How often every scope is collected, however little happens in it.',
  }),
  gcMaxShare: key({
    env: 'LONGSHORE_CONTENT_GC_MAX_SHARE',
    schema: z.coerce.number().min(0).max(1),
    default: 1,
    unit: 'share',
    meaning:
      'A collection that would remove more than this part of a scope with 1000 records or more does not start.',
  }),
};
