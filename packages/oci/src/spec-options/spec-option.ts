import type { ProcessSpec, RuntimeSpec } from '../spec.ts';
import type { LinuxSpec } from '../spec-linux.ts';
import type { ResourcesSpec } from '../spec-resources.ts';

/**
 * One change of a specification: gives a new one and leaves the old one alone. Named after containerd's With-functions,
 * which do the same to the specs of its Go clients. Source: containerd pkg/oci/spec_opts.go.
 */
export type SpecOption = (spec: RuntimeSpec) => RuntimeSpec;

/** Applies the options in their order, of which later ones see what earlier ones did. */
export function applySpecOptions(spec: RuntimeSpec, ...options: readonly SpecOption[]): RuntimeSpec {
  return options.reduce((changed, option) => option(changed), spec);
}

export function composeSpecOptions(...options: readonly SpecOption[]): SpecOption {
  return (spec) => applySpecOptions(spec, ...options);
}

/** An option out of a change of the process, which is made when there is none. */
export function changeProcess(change: (process: ProcessSpec) => ProcessSpec): SpecOption {
  return (spec) => ({ ...spec, process: change(spec.process ?? { cwd: '/' }) });
}

/** An option out of a change of what concerns Linux. */
export function changeLinux(change: (linux: LinuxSpec) => LinuxSpec): SpecOption {
  return (spec) => ({ ...spec, linux: change(spec.linux ?? {}) });
}

/** An option out of a change of the control group's limits. */
export function changeResources(change: (resources: ResourcesSpec) => ResourcesSpec): SpecOption {
  return changeLinux((linux) => ({ ...linux, resources: change(linux.resources ?? {}) }));
}
