import { changeLinux, type SpecOption } from './spec-option.ts';

/** Needs a UTS namespace of its own. */
export function withHostname(hostname: string): SpecOption {
  return (spec) => ({ ...spec, hostname });
}

/** The NIS domain name. Needs a UTS namespace of its own. */
export function withDomainname(domainname: string): SpecOption {
  return (spec) => ({ ...spec, domainname });
}

/** Adds to those that there are, over those of the same key. */
export function withAnnotations(annotations: Readonly<Record<string, string>>): SpecOption {
  return (spec) => ({ ...spec, annotations: { ...spec.annotations, ...annotations } });
}

/** A root file system that the caller keeps, absolute; without it the one that is mounted from a snapshot. */
export function withRootfsPath(path: string): SpecOption {
  return (spec) => ({ ...spec, root: { ...spec.root, path } });
}

export const withRootfsReadonly: SpecOption = (spec) => ({
  ...spec,
  root: { path: 'rootfs', ...spec.root, readonly: true },
});

/** `<parent>/<name>`, or `<slice>:<prefix>:<name>` with systemd's cgroup driver; empty leaves it to the runtime. */
export function withCgroup(path: string): SpecOption {
  return changeLinux(({ cgroupsPath: _, ...linux }) => ({
    ...linux,
    ...(path !== '' && { cgroupsPath: path }),
  }));
}

/** Kernel parameters of the container's namespaces. Adds to those that there are. */
export function withSysctl(sysctl: Readonly<Record<string, string>>): SpecOption {
  return changeLinux((linux) => ({ ...linux, sysctl: { ...linux.sysctl, ...sysctl } }));
}
