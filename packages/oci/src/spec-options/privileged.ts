import { withCapabilities } from './capabilities.ts';
import { KNOWN_CAPABILITIES } from './known-capabilities.ts';
import { withWriteableCgroupfs, withWriteableSysfs } from './mounts.ts';
import { withMaskedPaths, withReadonlyPaths } from './paths.ts';
import { withSeccompUnconfined } from './seccomp.ts';
import { withApparmorProfile, withSelinuxLabel } from './security-labels.ts';
import { composeSpecOptions, type SpecOption } from './spec-option.ts';

/**
 * As good as root of the node, but for devices, which `withAllDevicesAllowed` and `withDevices` add. Runtimes refuse
 * capabilities that they themselves do not have: give those of the node (`parseCapabilityMask`) where it may lack some.
 */
export function withPrivileged(capabilities: readonly string[] = KNOWN_CAPABILITIES): SpecOption {
  return composeSpecOptions(
    withCapabilities(capabilities),
    withMaskedPaths([]),
    withReadonlyPaths([]),
    withWriteableSysfs,
    withWriteableCgroupfs,
    withSelinuxLabel(''),
    withApparmorProfile(''),
    withSeccompUnconfined,
  );
}
