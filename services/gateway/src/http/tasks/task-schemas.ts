import { STATUSES } from '../containers/container-json.ts';
import { answers, namespaceQuery, object, text, time } from '../schemas.ts';

export const containerParams = {
  type: 'object',
  required: ['id'],
  properties: { id: { ...text, description: "The container's id." } },
} as const;

/** Of a route of one container. */
export const containerQuery = {
  namespace: namespaceQuery,
  node: { type: 'string', description: "A node's id; default: the one node that has the container." },
} as const;

const nullable = (schema: { type: string }) => ({ ...schema, type: [schema.type, 'null'] });

export const exitStatus = {
  type: 'integer',
  description: '128 + the number of the signal when one ended it.',
} as const;

export const exitSchema = object({ exit_status: exitStatus, exited_at: time });

export const taskSchema = object({
  id: { ...text, description: "The container's." },
  node: text,
  status: { enum: Object.values(STATUSES) },
  pid: { type: 'integer', description: 'On its node.' },
  terminal: { type: 'boolean' },
  exit_status: nullable(exitStatus),
  exited_at: nullable(time),
});

export const answersTask = answers('The task, as it is now.', taskSchema);

export const signalSchema = {
  type: 'string',
  description: 'e.g. `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.',
} as const;

/** A body that may be left out. */
export function optionalBody(properties: Record<string, object>) {
  return { type: ['object', 'null'], additionalProperties: false, properties } as const;
}

export function ofContainer(operationId: string, summary: string, more: object) {
  return {
    summary,
    operationId,
    params: containerParams,
    querystring: { type: 'object', properties: containerQuery },
    ...more,
  };
}
