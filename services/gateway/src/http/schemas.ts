import { FLEET } from '@longshore/proto/headers';
import { problemSchema } from './problem.ts';

const text = { type: 'string' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const texts = { type: 'object', additionalProperties: text } as const;

export const nodeQuery = {
  type: 'string',
  default: FLEET,
  description: "A node's id; `_` is the fleet's own catalogue.",
} as const;

export const namespaceQuery = { type: 'string', default: 'default' } as const;

export const nodeSchema = object({
  id: text,
  address: { ...text, description: 'Where the control plane reaches the agent of this node.' },
  labels: texts,
  hostname: text,
  kernel: text,
  architecture: text,
  cgroup_version: { type: 'integer' },
  software_version: text,
  snapshotters: { type: 'array', items: text },
  created_at: time,
  last_seen_at: time,
});

export const namespaceSchema = object({ name: text, labels: texts });

export const imageSchema = object({
  name: text,
  labels: texts,
  target: object({
    media_type: text,
    digest: text,
    size: { type: 'integer', description: 'Bytes of the manifest or index, not of the image.' },
    annotations: texts,
  }),
  created_at: time,
  updated_at: time,
});

export const containerSchema = object({
  id: text,
  image: text,
  labels: texts,
  runtime: text,
  snapshotter: text,
  snapshot_key: text,
  sandbox: text,
  created_at: time,
  updated_at: time,
});

/** What a route answers: a list under its name, or a problem. */
export function answers(description: string, schema: object) {
  return {
    200: { description, ...schema },
    default: { content: { 'application/problem+json': { schema: problemSchema } } },
  };
}

export function listOf(name: string, items: object) {
  return object({ [name]: { type: 'array', items } });
}

/** All of whose properties are always there. */
export function object(properties: Record<string, object>) {
  return { type: 'object', properties, required: Object.keys(properties) } as const;
}
