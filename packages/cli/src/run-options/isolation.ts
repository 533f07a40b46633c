import { messageOf } from '@longshore/errors';
import {
  composeSpecOptions,
  type NamespaceType,
  parseCapability,
  readHostDevices,
  type SpecOption,
  withAddedCapabilities,
  withAllDevicesAllowed,
  withAllKnownCapabilities,
  withCapabilities,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withDevices,
  withDroppedCapabilities,
  withHostNamespace,
  withHostNetwork,
  withLinuxNamespace,
  withNewPrivileges,
  withNoNewPrivileges,
  withPrivileged,
  withRootfsReadonly,
  withSeccompUnconfined,
} from '@longshore/oci/runtime-spec';
import type { Command } from 'commander';
import { collect } from '../command.ts';
import { UsageError } from '../usage-error.ts';

export interface IsolationFlags {
  privileged?: boolean;
  capAdd?: string[];
  capDrop?: string[];
  device?: string[];
  securityOpt?: string[];
  readOnly?: boolean;
  network?: string;
  pid?: string;
  ipc?: string;
  uts?: string;
}

const NO_NETWORKS =
  'longshore makes no networks: "none" has loopback alone, and is for others to wire; "host" is the node\'s.';

export function addIsolationFlags(command: Command): void {
  command
    .option('--privileged', 'all that root on the node may do')
    .option('--cap-add <capability>', 'add a capability, or "all"', collect)
    .option('--cap-drop <capability>', 'drop a capability, or "all"', collect)
    .option('--device <path[:path[:rwm]]>', 'a device of the node, which must be this machine', collect)
    .option('--security-opt <option>', 'seccomp=unconfined, no-new-privileges', collect)
    .option('--read-only', 'its root file system cannot be written to')
    .option('--network <network>', 'none, host, or ns:/path of a network namespace', 'none')
    .option('--pid <namespace>', 'host, or ns:/path')
    .option('--ipc <namespace>', 'host, or ns:/path')
    .option('--uts <namespace>', 'host, or ns:/path');
}

/** `isHere`: the node is this machine, so that its devices can be looked at. Throws UsageError. */
export function isolationOptions(flags: IsolationFlags, isHere: boolean): SpecOption {
  const { privileged = false, readOnly = false } = flags;
  return composeSpecOptions(
    namespaceOption('network', flags.network ?? 'none'),
    namespaceOption('pid', flags.pid),
    namespaceOption('ipc', flags.ipc),
    namespaceOption('uts', flags.uts),
    privileged ? composeSpecOptions(withPrivileged(), withAllDevicesAllowed) : withDefaultUnixDevices,
    capabilities(flags),
    ...(flags.device ?? []).map((device) => deviceOption(device, isHere)),
    // By the capabilities that there are by now.
    privileged ? NOTHING : withDefaultSeccomp(),
    // As with Docker: else no image with sudo works.
    withNewPrivileges,
    ...(flags.securityOpt ?? []).map(securityOption),
    readOnly ? withRootfsReadonly : NOTHING,
  );
}

const NOTHING: SpecOption = (spec) => spec;

function namespaceOption(type: NamespaceType, text: string | undefined): SpecOption {
  if (text === undefined || text === 'private' || (type === 'network' && text === 'none')) return NOTHING;
  if (text === 'host') return type === 'network' ? withHostNetwork : withHostNamespace(type);
  const path = /^ns:(\/.*)$/.exec(text)?.[1];
  if (path !== undefined) return withLinuxNamespace({ type, path });
  const hint = type === 'network' ? NO_NETWORKS : undefined;
  throw new UsageError(`--${type} "${text}": unknown`, hint);
}

function capabilities({ capAdd = [], capDrop = [] }: IsolationFlags): SpecOption {
  const isAll = (name: string) => name.toLowerCase() === 'all';
  return composeSpecOptions(
    capDrop.some(isAll) ? withCapabilities([]) : NOTHING,
    capAdd.some(isAll) ? withAllKnownCapabilities : NOTHING,
    withAddedCapabilities(capAdd.filter((name) => !isAll(name)).map((name) => capability(name, '--cap-add'))),
    withDroppedCapabilities(
      capDrop.filter((name) => !isAll(name)).map((name) => capability(name, '--cap-drop')),
    ),
  );
}

function capability(text: string, option: string): string {
  try {
    return parseCapability(text);
  } catch (error) {
    throw new UsageError(`${option}: ${messageOf(error)}`);
  }
}

function deviceOption(text: string, isHere: boolean): SpecOption {
  const [path = '', second, third] = text.split(':');
  const isAccess = (part: string | undefined) => part !== undefined && /^[rwm]{1,3}$/.test(part);
  const access = third ?? (isAccess(second) ? second : undefined) ?? 'rwm';
  const containerPath = second !== undefined && !isAccess(second) ? second : path;
  if (!path.startsWith('/') || !isAccess(access))
    throw new UsageError(`--device "${text}": not PATH[:PATH[:rwm]]`);
  if (!isHere)
    throw new UsageError(
      `--device "${text}": the node is another machine, whose devices cannot be looked at`,
    );
  try {
    return withDevices(readHostDevices(path, containerPath), access);
  } catch (error) {
    throw new UsageError(`--device "${text}": ${messageOf(error)}`);
  }
}

function securityOption(text: string): SpecOption {
  if (/^seccomp[=:]unconfined$/.test(text)) return withSeccompUnconfined;
  if (/^no-new-privileges([=:]true)?$/.test(text)) return withNoNewPrivileges;
  if (/^no-new-privileges[=:]false$/.test(text)) return withNewPrivileges;
  throw new UsageError(
    `--security-opt "${text}": unknown`,
    'Known are seccomp=unconfined and no-new-privileges.',
  );
}
