import type { FromSchema } from 'json-schema-to-ts';
import { fields, text, texts } from '../schemas.ts';

const strings = { type: 'array', items: text, maxItems: 1000 } as const;
const bytes = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

const mount = fields(
  {
    destination: { ...text, pattern: '^/', description: 'In the container, absolute.' },
    type: { ...text, default: 'bind', description: 'e.g. `bind`, `tmpfs`.' },
    source: { ...text, description: 'Of a bind: a path of the node.' },
    options: { ...strings, description: 'e.g. `rbind`, `ro`.' },
  },
  ['destination'],
);

const resources = fields({
  memory_bytes: bytes,
  memory_swap_bytes: { ...bytes, description: 'Of memory and swap together.' },
  cpus: { type: 'number', exclusiveMinimum: 0, maximum: 10_000, description: 'Time of so many: 1.5.' },
  cpu_shares: { type: 'integer', minimum: 2, maximum: 262_144 },
  cpuset_cpus: { ...text, description: 'e.g. `0-2,7`.' },
  pids: { type: 'integer', minimum: 1, maximum: 4_194_304 },
});

/** What a person says of a container; the rest is the image's, or the default. */
export const descriptionSchema = fields({
  id: { ...text, minLength: 1, description: 'Default: one is made up.' },
  image: { ...text, minLength: 1, description: 'Name of one that the node has, unpacked.' },
  platform: {
    ...text,
    minLength: 1,
    maxLength: 100,
    description: "Of the image, e.g. `linux/arm64`; default: its node's own.",
  },
  args: { ...strings, description: "Instead of the image's command, behind its entrypoint." },
  entrypoint: { ...strings, description: "Instead of the image's." },
  env: { ...texts, description: "Over the image's." },
  working_dir: { ...text, pattern: '^/' },
  user: {
    ...text,
    minLength: 1,
    description: "`user`, `uid`, `user:group` or `uid:gid`, by the image's files; default: its own.",
  },
  hostname: { ...text, minLength: 1, maxLength: 64 },
  terminal: { type: 'boolean', default: false },
  read_only: { type: 'boolean', default: false, description: 'Its root file system.' },
  mounts: { type: 'array', items: mount, maxItems: 1000 },
  resources,
  network: {
    enum: ['none', 'host'],
    default: 'none',
    description: '`none` is a network namespace of its own, for others to wire.',
  },
  privileged: { type: 'boolean', default: false, description: 'As good as root of the node.' },
  cap_add: strings,
  cap_drop: strings,
  annotations: texts,
  labels: texts,
  snapshotter: { ...text, minLength: 1, default: 'overlayfs' },
  runtime: { ...text, minLength: 1, default: 'io.containerd.runc.v2' },
  spec: {
    type: 'object',
    additionalProperties: true,
    description:
      'The whole OCI runtime spec, instead of all that makes one here. `image` may be given with it.',
  },
});

export type ContainerDescription = FromSchema<typeof descriptionSchema>;

/** What `spec` stands in the place of. */
export const MADE_INTO_SPEC = [
  'args',
  'entrypoint',
  'env',
  'working_dir',
  'user',
  'hostname',
  'mounts',
  'resources',
  'cap_add',
  'cap_drop',
  'annotations',
] as const satisfies readonly (keyof ContainerDescription)[];
