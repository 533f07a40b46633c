import { AnyText, list, Text, type ValueSchema } from '@longshore/kit';
import * as v from 'valibot';
import type { StreamProcessor } from './stream-processor.ts';

const Processor = v.strictObject(
  {
    accepts: v.pipe(list(Text), v.minLength(1, 'accepts must have media types')),
    returns: Text,
    path: Text,
    args: v.optional(v.array(AnyText), []),
    env: v.optional(v.array(v.pipe(AnyText, v.regex(/^[^=]+=/, 'env must be NAME=value'))), []),
  },
  'must be tables of accepts, returns, path, args, env',
);

/** Tables as in containerd's `stream_processors`, by id; from the environment as JSON. */
export const StreamProcessors: ValueSchema<Record<string, Omit<StreamProcessor, 'id'>>> = v.pipe(
  v.unknown(),
  v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
    if (typeof value !== 'string') return value;
    if (value === '') return {};
    try {
      return JSON.parse(value) as unknown;
    } catch {
      addIssue({ message: 'must be JSON' });
      return NEVER;
    }
  }),
  v.check((value) => !Array.isArray(value), 'must be a table'),
  v.record(Text, Processor, 'must be a table'),
);
