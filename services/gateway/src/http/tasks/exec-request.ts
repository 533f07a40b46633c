import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ExecStart, ExecStartSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { text } from '../schemas.ts';

/** A process that is wanted in a container, as requests say it. */
export interface WantedProcess {
  args: string[];
  env?: string[];
  cwd?: string;
  user?: string;
  exec_id?: string;
}

export const processProperties = {
  args: { type: 'array', items: text, minItems: 1, description: 'The program and its arguments.' },
  env: { type: 'array', items: text, description: "`NAME=value`; added to the container's own." },
  cwd: { ...text, description: "Default: the container's own." },
  user: { ...text, description: "`user`, `uid`, `user:group` or `uid:gid`; default: the container's own." },
  exec_id: { ...text, description: 'Names the process for signals; default: a new name.' },
} as const;

export function execStart(
  containerId: string,
  { args, env = [], cwd = '', user = '', exec_id: execId = '' }: WantedProcess,
  more: MessageInitShape<typeof ExecStartSchema>,
): ExecStart {
  return create(ExecStartSchema, { ...more, containerId, execId, args, env, cwd, user });
}
