import {
  AnyNumber,
  AnyText,
  commonKeys,
  databaseKeys,
  Flag,
  key,
  list,
  oneOf,
  peerKey,
  Text,
  Whole,
  watchKeys,
  wholeFrom,
} from '@longshore/kit';
import * as v from 'valibot';

/** A URL is signed with a key that is valid for at least a day more. */
const MAX_LOCATE_MS = 12 * 60 * 60 * 1000;

const BaseUrls = list(url('https'));

const HttpUrl = v.union([v.literal(''), url('http', 'https')], 'must be a URL: http, https');

/** Characters that a URL need not escape. */
const KeyPrefix = v.pipe(
  AnyText,
  v.regex(/^[\w.~/-]*$/, 'may hold letters, digits, "-", ".", "_", "~" and "/"'),
  v.transform((text) => (text === '' || text.endsWith('/') ? text : `${text}/`)),
);

function url(...protocols: string[]) {
  return v.pipe(
    AnyText,
    v.trim(),
    v.check(
      (text) => protocols.some((protocol) => URL.parse(text)?.protocol === `${protocol}:`),
      `must be a URL: ${protocols.join(', ')}`,
    ),
  );
}

export const keys = {
  ...commonKeys('content'),
  ...databaseKeys(),
  ...watchKeys(),
  runtime: peerKey('runtime'),
  driver: key({
    env: 'LONGSHORE_CONTENT_DRIVER',
    schema: oneOf('directory', 's3'),
    default: 'directory',
    meaning: 'Where the bytes of blobs are kept: in a directory that all replicas see, or in a bucket.',
  }),
  directory: key({
    env: 'LONGSHORE_CONTENT_DIRECTORY',
    schema: Text,
    default: (earlier) => `${earlier.root}/content`,
    defaultText: '$LONGSHORE_ROOT/content',
    unit: 'path',
    meaning: 'Where the driver "directory" keeps them.',
  }),
  s3Endpoint: key({
    env: 'LONGSHORE_CONTENT_S3_ENDPOINT',
    schema: HttpUrl,
    default: '',
    unit: 'URL',
    meaning:
      'The S3 server of the driver "s3"; the rest of the keys LONGSHORE_CONTENT_S3_* is for that driver, too.',
  }),
  s3PublicUrl: key({
    env: 'LONGSHORE_CONTENT_S3_PUBLIC_URL',
    schema: HttpUrl,
    default: (earlier) => earlier.s3Endpoint as string,
    defaultText: 'LONGSHORE_CONTENT_S3_ENDPOINT',
    unit: 'URL',
    meaning:
      'The same server, as nodes reach it: they read blobs by URLs that are signed for this host and port.',
  }),
  s3Region: key({
    env: 'LONGSHORE_CONTENT_S3_REGION',
    schema: Text,
    default: 'us-east-1',
    meaning: 'The region that requests are signed for.',
  }),
  s3Bucket: key({
    env: 'LONGSHORE_CONTENT_S3_BUCKET',
    schema: AnyText,
    default: '',
    meaning: 'The bucket, which must be there.',
  }),
  s3Prefix: key({
    env: 'LONGSHORE_CONTENT_S3_PREFIX',
    schema: KeyPrefix,
    default: '',
    meaning: 'What all keys in the bucket begin with, e.g. "longshore/".',
  }),
  s3PathStyle: key({
    env: 'LONGSHORE_CONTENT_S3_PATH_STYLE',
    schema: Flag,
    default: true,
    meaning: "Whether the bucket is the first part of a URL's path; false: of its host's name.",
  }),
  s3Ca: key({
    env: 'LONGSHORE_CONTENT_S3_CA',
    schema: AnyText,
    default: '',
    unit: 'path',
    meaning:
      'Certificates (PEM) of who vouches for the server, which nodes are told, too; empty: the public authorities.',
  }),
  s3AccessKey: key({
    env: 'LONGSHORE_CONTENT_S3_ACCESS_KEY',
    schema: AnyText,
    default: '',
    secret: true,
    meaning: 'The access key.',
  }),
  s3SecretKey: key({
    env: 'LONGSHORE_CONTENT_S3_SECRET_KEY',
    schema: AnyText,
    default: '',
    secret: true,
    meaning: 'The secret key.',
  }),
  s3TimeoutMs: key({
    env: 'LONGSHORE_CONTENT_S3_TIMEOUT_MS',
    schema: wholeFrom(100),
    default: 10_000,
    unit: 'ms',
    meaning: 'A server that says or takes nothing for so long is asked again.',
  }),
  sharing: key({
    env: 'LONGSHORE_CONTENT_SHARING',
    schema: oneOf('shared', 'isolated'),
    default: 'shared',
    meaning: "Whether a node's namespaces may link blobs that the node holds without sending their bytes.",
  }),
  blobsListen: key({
    env: 'LONGSHORE_CONTENT_BLOBS_LISTEN',
    schema: AnyText,
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
    schema: v.pipe(wholeFrom(1000), v.maxValue(MAX_LOCATE_MS, `must be at most ${MAX_LOCATE_MS}`)),
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
    schema: wholeFrom(100),
    default: 30_000,
    unit: 'ms',
    meaning: 'How long whoever fetches a blob for all may be silent before another takes over.',
  }),
  scrubBytesPerSecond: key({
    env: 'LONGSHORE_CONTENT_SCRUB_BYTES_PER_SECOND',
    schema: Whole,
    default: 20_000_000,
    unit: 'bytes/s',
    meaning:
      'How fast one replica reads all stored blobs again, to find those that are corrupt; a tenth of it while the replica ' +
      'is busy; 0: never.',
  }),
  scrubRoundMs: key({
    env: 'LONGSHORE_CONTENT_SCRUB_ROUND_MS',
    schema: wholeFrom(100),
    default: 14 * 24 * 60 * 60 * 1000,
    unit: 'ms',
    meaning: 'In which every stored blob is read again once, if the rate allows it.',
  }),
  verifyReads: key({
    env: 'LONGSHORE_CONTENT_VERIFY_READS',
    schema: oneOf('off', 'full'),
    default: 'full',
    meaning:
      'full: a read of the last byte of a blob succeeds only after all of the blob was read and found to be right; off: ' +
      'bytes are passed on as they are.',
  }),
  verifyWindowMs: key({
    env: 'LONGSHORE_CONTENT_VERIFY_WINDOW_MS',
    schema: Whole,
    default: 60 * 60 * 1000,
    unit: 'ms',
    meaning:
      'How long a replica that has read a blob whole takes it for right when the end is read alone, rather than after all before.',
  }),
  quotaBytes: key({
    env: 'LONGSHORE_CONTENT_QUOTA_BYTES',
    schema: Whole,
    default: 0,
    unit: 'bytes',
    meaning:
      'What a namespace may store, over all nodes, when it has no limit of its own; 0: any. The same for all replicas.',
  }),
  quotaIngests: key({
    env: 'LONGSHORE_CONTENT_QUOTA_INGESTS',
    schema: Whole,
    default: 0,
    meaning:
      'How many ingests a namespace may have open, over all nodes, when it has no limit of its own; 0: any. The same for ' +
      'all replicas.',
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
    schema: v.pipe(AnyNumber, v.minValue(0, 'must be at least 0'), v.maxValue(1, 'must be at most 1')),
    default: 1,
    unit: 'share',
    meaning:
      'A collection that would remove more than this part of a scope with 1000 records or more does not start.',
  }),
};
