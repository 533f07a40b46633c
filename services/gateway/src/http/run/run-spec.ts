import type { ImageConfig } from '@longshore/oci';
import {
  applySpecOptions,
  changeProcess,
  defaultSpec,
  encodeSpec,
  type SpecOption,
  type UserFiles,
  withCpuCfs,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withEnv,
  withHostname,
  withImageConfig,
  withMemoryLimit,
  withPidsLimit,
  withProcessCwd,
  withRootfsReadonly,
  withTty,
} from '@longshore/oci/runtime-spec';
import type { RunRequest } from './run-request.ts';

const CFS_PERIOD_US = 100_000;

export interface SpecSource {
  namespace: string;
  id: string;
  /** Of the node, as images name it. */
  architecture: string;
  config: ImageConfig;
  /** Looked up in the files of the image. */
  user: { uid: number; gid: number; additionalGids: readonly number[] };
}

/** They have told all that was asked. */
const NO_FILES: UserFiles = { passwd: () => undefined, group: () => undefined };

/** The spec of a container that a person describes, in JSON. Throws InvalidArgument for what makes no spec. */
export function runSpec(
  { namespace, id, architecture, config, user }: SpecSource,
  request: RunRequest,
): Uint8Array {
  const { args, entrypoint, env, cwd, hostname, terminal, read_only, cpus, memory_bytes, pids_limit } =
    request;
  const command = entrypoint && { Entrypoint: entrypoint, Cmd: [] };
  const image = { ...config, config: { ...config.config, ...command, User: '' } };
  const options: (SpecOption | false | undefined)[] = [
    withDefaultUnixDevices,
    withImageConfig(image, NO_FILES, args),
    changeProcess((process) => ({ ...process, user: { ...user, additionalGids: [...user.additionalGids] } })),
    terminal && withTty,
    env && withEnv(env),
    cwd !== undefined && withProcessCwd(cwd),
    withHostname(hostname ?? id),
    read_only && withRootfsReadonly,
    memory_bytes !== undefined && withMemoryLimit(memory_bytes),
    cpus !== undefined && withCpuCfs(Math.round(cpus * CFS_PERIOD_US), CFS_PERIOD_US),
    pids_limit !== undefined && withPidsLimit(pids_limit),
    withDefaultSeccomp(architecture),
  ];
  const spec = applySpecOptions(defaultSpec({ namespace, id }), ...options.filter((option) => !!option));
  return encodeSpec(spec);
}
