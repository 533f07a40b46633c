import { FLEET } from '@longshore/proto/headers';
import { NODE_STATE_NAMES } from '@longshore/proto/node-json';
import { problemSchema } from './problem.ts';

export const text = { type: 'string' } as const;
export const time = { type: 'string', format: 'date-time' } as const;
export const texts = { type: 'object', additionalProperties: text } as const;
const count = { type: 'integer' } as const;

export const namespaceParams = {
  type: 'object',
  required: ['namespace'],
  properties: { namespace: text },
} as const;

export const nodeQuery = {
  type: 'string',
  default: FLEET,
  description: "A node's id; `_` is the fleet's own catalogue.",
} as const;

export const namespaceQuery = { type: 'string', default: 'default' } as const;

export const idParams = { type: 'object', required: ['id'], properties: { id: text } } as const;

export const nodeParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { ...text, description: "The node's id." } },
} as const;

export const nodeSchema = object({
  id: text,
  uid: text,
  revision: count,
  state: { enum: NODE_STATE_NAMES },
  cordoned: { type: 'boolean', description: 'It takes no new containers and tasks.' },
  notice: { ...text, description: 'For operators; empty when all is well.' },
  address: { ...text, description: 'Where the control plane reaches the agent of this node.' },
  labels: texts,
  hostname: text,
  kernel: text,
  architecture: text,
  cgroup_version: count,
  software_version: text,
  runtimes: { type: 'array', items: text },
  snapshotters: { type: 'array', items: text },
  capacity: object({ cpus: count, memory_bytes: count, disk_bytes: count }),
  running_tasks: { ...count, description: 'As of the last heartbeat.' },
  created_at: time,
  last_seen_at: { ...time, type: ['string', 'null'] },
});

export const namespaceSchema = object({ name: text, labels: texts });

export const descriptorSchema = object({
  media_type: text,
  digest: text,
  size: { type: 'integer', description: 'Bytes of the manifest or index, not of the image.' },
  annotations: texts,
});

export const imageSchema = object({
  name: text,
  labels: texts,
  target: descriptorSchema,
  created_at: time,
  updated_at: time,
});

export const containerSchema = object({
  id: text,
  node: text,
  status: {
    type: ['string', 'null'],
    enum: ['none', 'created', 'running', 'pausing', 'paused', 'stopped', 'unknown', 'deleting', null],
    description:
      'Of its task; `none` without one, `unknown` when the node did not say. `deleting`: it was deleted while its ' +
      'node was away, and goes when that agrees. Null: it was not asked for.',
  },
  image: text,
  labels: texts,
  runtime: text,
  snapshotter: text,
  snapshot_key: text,
  sandbox: text,
  created_at: time,
  updated_at: time,
});

export const wholeContainerSchema = object({
  ...containerSchema.properties,
  spec: {
    type: ['object', 'null'],
    additionalProperties: true,
    description: 'As the OCI runtime spec has it; null for one of another kind.',
  },
});

export const unreachableSchema = {
  type: 'array',
  items: text,
  description: 'Ids of nodes that did not answer.',
} as const;

export const problems = { default: { content: { 'application/problem+json': { schema: problemSchema } } } };

/** What a route answers: this, or a problem. */
export function answers(description: string, schema: object) {
  return { 200: { description, ...schema }, ...problems };
}

/** What a route made, or a problem. */
export function answersCreated(description: string, schema: object) {
  return { 201: { description, ...schema }, ...problems };
}

/** For a route that has nothing to say when all went well. */
export const answersNothing = { 204: { description: 'Done.', type: 'null' }, ...problems };

/** For a route that answers with server-sent events. */
export function answersEvents(description: string) {
  return { 200: { description, content: { 'text/event-stream': { schema: text } } }, ...problems };
}

/** Of what is never much. */
export function listOf(name: string, items: object) {
  return object({ [name]: { type: 'array', items } });
}

/** A page of a list. */
export function pageSchema(items: object) {
  return object({
    items: { type: 'array', items },
    next_cursor: {
      type: ['string', 'null'],
      description: 'What `cursor` is to be for the next items; null behind the last one.',
    },
  });
}

/** Of a request: nothing but these. */
export function fields<const P extends Record<string, object>, const R extends readonly string[] = []>(
  properties: P,
  required?: R,
) {
  return { type: 'object', additionalProperties: false, properties, required: required ?? ([] as const) } as {
    readonly type: 'object';
    readonly additionalProperties: false;
    readonly properties: P;
    readonly required: R;
  };
}

export const filterQuery = {
  type: 'array',
  items: text,
  maxItems: 100,
  description: "containerd's filters, of which one must match, e.g. `labels.app==web`.",
} as const;

/** Changes of labels: null takes one away, what is not named stays. As JSON merge patch, RFC 7396. */
export const labelChanges = {
  type: 'object',
  additionalProperties: { type: ['string', 'null'] },
  description: 'What is not named stays; null takes a label away.',
} as const;

/** All of whose properties are always there. */
export function object(properties: Record<string, object>) {
  return { type: 'object', properties, required: Object.keys(properties) } as const;
}
