import type { DeviceSpec } from '../spec-linux.ts';
import type { DeviceRule } from '../spec-resources.ts';
import { changeLinux, changeResources, composeSpecOptions, type SpecOption } from './spec-option.ts';

const ALL_ACCESS = 'rwm';

/** Numbers of the devices that every runtime makes, and of pseudo-terminals. Source: Linux admin-guide/devices.txt. */
const USUAL_DEVICES: readonly [name: string, major: number, minor?: number][] = [
  ['null', 1, 3],
  ['random', 1, 8],
  ['full', 1, 7],
  ['tty', 5, 0],
  ['zero', 1, 5],
  ['urandom', 1, 9],
  ['console', 5, 1],
  ['pts/*', 136],
  ['ptmx', 5, 2],
];

/** Makes device nodes, and allows to use them: `access` is of the letters of `rwm`. */
export function withDevices(devices: readonly DeviceSpec[], access = ALL_ACCESS): SpecOption {
  return composeSpecOptions(
    withLinuxDevices(devices),
    withDeviceRules(devices.flatMap((device) => rulesFor(device, access))),
  );
}

/** Makes device nodes; whether they may be used is for the rules to say. */
export function withLinuxDevices(devices: readonly DeviceSpec[]): SpecOption {
  return changeLinux((linux) => ({ ...linux, devices: [...(linux.devices ?? []), ...devices] }));
}

/** Allows what the runtime makes in every `/dev`. */
export const withDefaultUnixDevices: SpecOption = withDeviceRules(
  USUAL_DEVICES.map(([, major, minor]) => ({
    allow: true,
    type: 'c',
    major,
    ...(minor !== undefined && { minor }),
    access: ALL_ACCESS,
  })),
);

/** Allows everything, in the place of all rules. */
export const withAllDevicesAllowed: SpecOption = changeResources((resources) => ({
  ...resources,
  devices: [{ allow: true, access: ALL_ACCESS }],
}));

/** Leaves it to the control group above. */
export const withParentCgroupDevices: SpecOption = changeResources(
  ({ devices: _, ...resources }) => resources,
);

/** Adds rules, which have the last word. */
export function withDeviceRules(rules: readonly DeviceRule[]): SpecOption {
  return changeResources((resources) => ({
    ...resources,
    devices: [...(resources.devices ?? []), ...rules],
  }));
}

/** A FIFO is under no control group's rules. */
function rulesFor({ type, major, minor }: DeviceSpec, access: string): DeviceRule[] {
  return type === 'p' ? [] : [{ allow: true, type: type === 'b' ? 'b' : 'c', major, minor, access }];
}
