import { hostPlatform } from '../platform.ts';
import type { SeccompSpec } from '../spec-seccomp.ts';
import { defaultSeccomp } from './default-seccomp.ts';
import { changeLinux, type SpecOption } from './spec-option.ts';

/** A filter of the caller's own. */
export function withSeccomp(seccomp: SeccompSpec): SpecOption {
  return changeLinux((linux) => ({ ...linux, seccomp }));
}

/** No filter: the process may make every system call. */
export const withSeccompUnconfined: SpecOption = changeLinux(({ seccomp: _, ...linux }) => linux);

/**
 * The default filter, for the capabilities that the process may ever have: comes after the options that change these.
 * `architecture` is the node's, as in platforms: `arm64`; this machine's without it.
 */
export function withDefaultSeccomp(architecture: string = hostPlatform().architecture): SpecOption {
  return (spec) => {
    const capabilities = spec.process?.capabilities?.bounding ?? [];
    return withSeccomp(defaultSeccomp({ architecture, capabilities }))(spec);
  };
}
