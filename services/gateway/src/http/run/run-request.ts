import { namespaceQuery, text } from '../schemas.ts';
import { signalSchema } from '../tasks/task-schemas.ts';

/** A container as a person describes it. */
export interface RunRequest {
  image: string;
  id?: string;
  args?: string[];
  entrypoint?: string[];
  env?: string[];
  cwd?: string;
  user?: string;
  hostname?: string;
  labels?: Record<string, string>;
  terminal?: boolean;
  stdin?: boolean;
  read_only?: boolean;
  memory_bytes?: number;
  cpus?: number;
  pids_limit?: number;
  stop_signal?: string;
  runtime?: string;
  snapshotter?: string;
  platform?: string;
  pull?: 'missing' | 'always' | 'never';
  username?: string;
  password?: string;
  plain_http?: boolean;
  rm?: boolean;
  detach?: boolean;
}

/** Of an installed shim; a path would name any file of the host. */
const RUNTIME_NAME = '^[\\w-]+(\\.[\\w-]+)+$';

const flag = { type: 'boolean', default: false } as const;
const texts = { type: 'array', items: text } as const;

export const runQuery = {
  type: 'object',
  properties: {
    namespace: namespaceQuery,
    node: { ...text, description: 'Where; default: the one node that is ready, if there is but one.' },
  },
} as const;

export const runBody = {
  type: 'object',
  required: ['image'],
  additionalProperties: false,
  properties: {
    image: { ...text, minLength: 1, description: '`busybox` is `docker.io/library/busybox:latest`.' },
    id: { ...text, description: 'Default: a new one.' },
    args: { ...texts, description: "In the place of the image's command, behind its entrypoint." },
    entrypoint: { ...texts, description: "In the place of the image's, whose command then does not count." },
    env: { ...texts, description: "`NAME=value`; they win over the image's." },
    cwd: text,
    user: {
      ...text,
      description: "`user`, `uid`, `user:group` or `uid:gid`, by the image's files; default: its own.",
    },
    hostname: text,
    labels: { type: 'object', additionalProperties: text },
    terminal: flag,
    stdin: { ...flag, description: 'Opens a standard input, for attach to write.' },
    read_only: { ...flag, description: 'The root file system cannot be written to.' },
    memory_bytes: { type: 'integer', minimum: 1 },
    cpus: { type: 'number', exclusiveMinimum: 0, description: 'e.g. 1.5' },
    pids_limit: { type: 'integer', minimum: 1 },
    stop_signal: { ...signalSchema, description: "Default: the image's, else SIGTERM." },
    runtime: { ...text, default: 'io.containerd.runc.v2', pattern: RUNTIME_NAME },
    snapshotter: { ...text, default: 'overlayfs' },
    platform: { ...text, description: "e.g. `linux/arm64`; default: the node's own." },
    pull: {
      enum: ['missing', 'always', 'never'],
      default: 'missing',
      description: '`missing`: when the node does not have the image, or has not unpacked it.',
    },
    username: text,
    password: { ...text, description: 'Of the registry; kept nowhere.' },
    plain_http: flag,
    rm: { ...flag, description: 'Removes the container when it has ended; not together with `detach`.' },
    detach: { ...flag, description: 'Answers when it has started.' },
  },
} as const;
