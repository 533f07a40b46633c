import { invalidArgument } from '@longshore/errors';
import type { ImageConfig } from '@longshore/oci';
import {
  applySpecOptions,
  defaultSpec,
  type ResourcesSpec,
  type RuntimeSpec,
  type SpecOption,
  type SpecSubject,
  type UserFiles,
  withAddedCapabilities,
  withAdditionalGids,
  withAllDevicesAllowed,
  withAnnotations,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withDroppedCapabilities,
  withEnv,
  withHostNetwork,
  withHostname,
  withImageConfig,
  withMounts,
  withPrivileged,
  withProcessArgs,
  withProcessCwd,
  withResources,
  withRootfsReadonly,
  withTty,
  withUser,
} from '@longshore/oci/runtime-spec';
import type { ContainerDescription } from './description.ts';

const CFS_PERIOD_US = 100_000;

export interface SpecSource extends SpecSubject {
  /** Undefined: there is none, and `args` are all. */
  image: ImageConfig | undefined;
  /** Of the node, as in platforms: `arm64`. */
  architecture: string;
  /** Where users are looked up. */
  files: UserFiles;
}

/**
 * The runtime spec of what a person described, with the default system call filter. Throws NotFound for a user whom the files do not
 * know, InvalidArgument without a command.
 */
export function specOf(
  wanted: ContainerDescription,
  { namespace, id, image, architecture, files }: SpecSource,
): RuntimeSpec {
  const { args = [], entrypoint, env = {}, mounts = [], resources } = wanted;
  const given = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const options: (SpecOption | false | undefined)[] = [
    withDefaultUnixDevices,
    image ? fromImage(image, wanted, files) : withProcessArgs([...(entrypoint ?? []), ...args]),
    withEnv(given),
    wanted.working_dir !== undefined && withProcessCwd(wanted.working_dir),
    wanted.user !== undefined && withUser(wanted.user, files),
    wanted.user !== undefined && withAdditionalGids(wanted.user.split(':')[0] ?? '', files),
    wanted.hostname !== undefined && withHostname(wanted.hostname),
    wanted.terminal && withTty,
    wanted.read_only && withRootfsReadonly,
    withMounts(
      mounts.map(({ source, options = [], ...mount }) => ({ ...mount, options, ...(source && { source }) })),
    ),
    resources && withResources(resourcesOf(resources)),
    wanted.network === 'host' && withHostNetwork,
    wanted.annotations && withAnnotations(wanted.annotations),
    wanted.privileged && withPrivileged(),
    wanted.privileged && withAllDevicesAllowed,
    wanted.cap_add && withAddedCapabilities(wanted.cap_add),
    wanted.cap_drop && withDroppedCapabilities(wanted.cap_drop),
    !wanted.privileged && withDefaultSeccomp(architecture),
  ];
  const spec = applySpecOptions(
    defaultSpec({ namespace, id }),
    ...options.filter((option): option is SpecOption => typeof option === 'function'),
  );
  if (!spec.process?.args?.length)
    throw invalidArgument('field "args": no command is given, nor has the image one');
  return spec;
}

function fromImage(
  image: ImageConfig,
  { args = [], entrypoint, user }: ContainerDescription,
  files: UserFiles,
): SpecOption {
  const { Entrypoint, Cmd, User = '', ...rest } = image.config ?? {};
  // As Docker has it: an entrypoint of one's own leaves the image's command out too.
  const command = entrypoint
    ? { Entrypoint: entrypoint, Cmd: [] }
    : { Entrypoint: Entrypoint ?? [], Cmd: Cmd ?? [] };
  const config = { ...rest, ...command, User: user === undefined ? User : '' };
  return withImageConfig({ ...image, config }, files, args);
}

function resourcesOf(wanted: NonNullable<ContainerDescription['resources']>): ResourcesSpec {
  const {
    memory_bytes: limit,
    memory_swap_bytes: swap,
    cpus,
    cpu_shares: shares,
    cpuset_cpus,
    pids,
  } = wanted;
  return {
    memory: { ...(limit !== undefined && { limit }), ...(swap !== undefined && { swap }) },
    cpu: {
      ...(cpus !== undefined && { quota: Math.round(cpus * CFS_PERIOD_US), period: CFS_PERIOD_US }),
      ...(shares !== undefined && { shares }),
      ...(cpuset_cpus !== undefined && { cpus: cpuset_cpus }),
    },
    ...(pids !== undefined && { pids: { limit: pids } }),
  };
}
