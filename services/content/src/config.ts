import { commonKeys, databaseKeys, key, Text, Whole } from '@longshore/kit';
import { z } from 'zod';

export const keys = {
  ...commonKeys('content'),
  ...databaseKeys(),
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
  graceMs: key({
    env: 'LONGSHORE_CONTENT_GRACE_MS',
    schema: Whole,
    default: 10 * 60 * 1000,
    unit: 'ms',
    meaning:
      'How long bytes stay after nothing refers to them any more: at least as long as a located file is read; ' +
      'with backups, the time between two of them.',
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
