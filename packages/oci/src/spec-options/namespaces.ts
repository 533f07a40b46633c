import type { IdMapping } from '../id-mapping.ts';
import type { NamespaceSpec, NamespaceType } from '../spec-linux.ts';
import { withHostHostsFile, withHostResolvconf } from './mounts.ts';
import { changeLinux, composeSpecOptions, type SpecOption } from './spec-option.ts';

/** A new namespace, or with a path one that exists, in the place of what was said of this type. */
export function withLinuxNamespace(namespace: NamespaceSpec): SpecOption {
  return changeLinux(({ namespaces = [], ...linux }) => ({
    ...linux,
    namespaces: namespaces.some(({ type }) => type === namespace.type)
      ? namespaces.map((each) => (each.type === namespace.type ? namespace : each))
      : [...namespaces, namespace],
  }));
}

/** The one that the runtime itself is in, the host's. */
export function withHostNamespace(type: NamespaceType): SpecOption {
  return changeLinux(({ namespaces = [], ...linux }) => ({
    ...linux,
    namespaces: namespaces.filter((each) => each.type !== type),
  }));
}

/** The host's network, and what the host knows of names. */
export const withHostNetwork: SpecOption = composeSpecOptions(
  withHostNamespace('network'),
  withHostHostsFile,
  withHostResolvconf,
);

/** A user namespace with these ranges, added to those that there are. */
export function withUserNamespace(uids: readonly IdMapping[], gids: readonly IdMapping[]): SpecOption {
  return changeLinux(({ namespaces = [], uidMappings = [], gidMappings = [], ...linux }) => ({
    ...linux,
    namespaces: namespaces.some(({ type }) => type === 'user')
      ? namespaces
      : [...namespaces, { type: 'user' }],
    uidMappings: [...uidMappings, ...uids],
    gidMappings: [...gidMappings, ...gids],
  }));
}

/** How mounts in the container and outside are seen on the other side. Source: mount_namespaces(7). */
export function withRootfsPropagation(
  propagation:
    | 'shared'
    | 'slave'
    | 'private'
    | 'unbindable'
    | 'rshared'
    | 'rslave'
    | 'rprivate'
    | 'runbindable',
): SpecOption {
  return changeLinux((linux) => ({ ...linux, rootfsPropagation: propagation }));
}
