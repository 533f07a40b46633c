import {
  applySpecOptions,
  defaultSpec,
  encodeSpec,
  type RuntimeSpec,
  withAddedCapabilities,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withPrivileged,
} from '@longshore/oci/runtime-spec';
import { describe, expect, it } from 'vitest';
import { duplicateKey } from './duplicate-keys.ts';
import { hostReasonOfProcess, hostReasonOfResources, hostReasonOfSpec } from './owns-host.ts';

const plain = () => defaultSpec({ namespace: 'ns', id: 'web' });
const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

// biome-ignore lint/suspicious/noExplicitAny: specs are broken on purpose.
type Change = (spec: any) => void;

function changed(change: Change): string | undefined {
  const spec = plain();
  change(spec);
  return hostReasonOfSpec(bytes(spec));
}

describe('hostReasonOfSpec', () => {
  it('finds nothing in what clients make of an image by default', () => {
    expect(hostReasonOfSpec(encodeSpec(plain()))).toBeUndefined();
    const more = applySpecOptions(plain(), withDefaultUnixDevices, withDefaultSeccomp('amd64'));
    expect(hostReasonOfSpec(encodeSpec(more))).toBeUndefined();
    const limited: RuntimeSpec = {
      ...plain(),
      hostname: 'web',
      annotations: { 'io.acme/team': 'a' },
      mounts: [
        ...(plain().mounts ?? []),
        { destination: '/scratch', type: 'tmpfs', options: ['rw', 'size=1m'] },
      ],
    };
    limited.linux!.resources = {
      ...limited.linux!.resources,
      memory: { limit: 1n << 30n },
      pids: { limit: 10 },
    };
    expect(hostReasonOfSpec(encodeSpec(limited))).toBeUndefined();
  });

  it('takes what is empty for what is not there, as Go writes some of it', () => {
    expect(changed((spec) => Object.assign(spec, { hooks: {}, vm: null }))).toBeUndefined();
    expect(changed((spec) => Object.assign(spec.linux, { devices: [], mountLabel: '' }))).toBeUndefined();
  });

  it.each([
    ['privileged', (spec) => Object.assign(spec, applySpecOptions(spec, withPrivileged()))],
    [
      'one capability more',
      (spec) => Object.assign(spec, applySpecOptions(spec, withAddedCapabilities(['CAP_SYS_PTRACE']))),
    ],
    [
      'an ambient capability',
      (spec) => {
        spec.process.capabilities.ambient = ['CAP_SYS_ADMIN'];
      },
    ],
    [
      'capabilities in another case',
      (spec) => {
        spec.process.capabilities.Bounding = ['CAP_SYS_ADMIN'];
      },
    ],
    ...['pid', 'ipc', 'uts', 'mount', 'network'].map((type): [string, Change] => [
      `the host's ${type} namespace`,
      (spec: { linux: { namespaces: { type: string }[] } }) => {
        spec.linux.namespaces = spec.linux.namespaces.filter((each) => each.type !== type);
      },
    ]),
    [
      'a namespace to join',
      (spec) => {
        spec.linux.namespaces[4].path = '/proc/1/ns/net';
      },
    ],
    [
      'a namespace to join, in another case',
      (spec) => {
        spec.linux.namespaces[4].Path = '/proc/1/ns/net';
      },
    ],
    [
      'no namespaces at all',
      (spec) => {
        delete spec.linux;
      },
    ],
    [
      'a bind mount',
      (spec) => spec.mounts.push({ destination: '/h', type: 'bind', source: '/', options: ['rbind'] }),
    ],
    [
      'a bind mount by its options alone',
      (spec) => spec.mounts.push({ destination: '/h', source: '/', options: ['bind'] }),
    ],
    [
      'a bind mount of another type',
      (spec) => spec.mounts.push({ destination: '/h', type: 'tmpfs', source: '/', options: ['rbind'] }),
    ],
    ['a disk', (spec) => spec.mounts.push({ destination: '/h', type: 'ext4', source: '/dev/sda1' })],
    [
      'a remount',
      (spec) => spec.mounts.push({ destination: '/sys', type: 'sysfs', options: ['ro', 'remount'] }),
    ],
    [
      'a sysfs to write to',
      (spec) => {
        spec.mounts[5].options = ['nosuid'];
      },
    ],
    [
      'a sysfs to write to after all',
      (spec) => {
        spec.mounts[5].options.push('rw');
      },
    ],
    ['cgroups to write to', (spec) => spec.mounts.push({ destination: '/sys/fs/cgroup', type: 'cgroup' })],
    ['a second proc', (spec) => spec.mounts.push({ destination: '/proc2', type: 'proc' })],
    [
      'mounts in another case',
      (spec) => {
        spec.Mounts = [{ destination: '/h', type: 'bind', source: '/' }];
      },
    ],
    [
      'no read-only paths',
      (spec) => {
        spec.linux.readonlyPaths = [];
      },
    ],
    [
      'kernel memory',
      (spec) => {
        spec.linux.maskedPaths = [];
      },
    ],
    [
      'a device',
      (spec) => {
        spec.linux.devices = [{ path: '/dev/sda', type: 'b', major: 8, minor: 0 }];
      },
    ],
    [
      'all devices allowed',
      (spec) => {
        spec.linux.resources.devices = [{ allow: true, access: 'rwm' }];
      },
    ],
    [
      'a disk allowed',
      (spec) =>
        spec.linux.resources.devices.push({ allow: true, type: 'b', major: 8, minor: 0, access: 'r' }),
    ],
    [
      'no rules about devices',
      (spec) => {
        delete spec.linux.resources;
      },
    ],
    [
      'a hook',
      (spec) => {
        spec.hooks = { prestart: [{ path: '/bin/sh' }] };
      },
    ],
    [
      'a root file system of the host',
      (spec) => {
        spec.root.path = '/';
      },
    ],
    [
      'a root file system outside of the bundle',
      (spec) => {
        spec.root.path = 'rootfs/../../..';
      },
    ],
    [
      'shared mounts',
      (spec) => {
        spec.linux.rootfsPropagation = 'rshared';
      },
    ],
    [
      'a chosen SELinux label',
      (spec) => {
        spec.process.selinuxLabel = 'u:r:spc_t:s0';
      },
    ],
    [
      'a socket for system calls',
      (spec) => {
        spec.linux.seccomp = { defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/x' };
      },
    ],
    [
      'an annotation that commands',
      (spec) => {
        spec.annotations = { 'run.oci.hooks.stdout': '/x' };
      },
    ],
    [
      'a virtual machine',
      (spec) => {
        spec.vm = { hypervisor: { path: '/x' } };
      },
    ],
    [
      'a device of the network',
      (spec) => {
        spec.linux.netDevices = { eth0: {} };
      },
    ],
    [
      'values of other types',
      (spec) => {
        spec.mounts = { length: 0 };
      },
    ],
  ] as [string, Change][])('finds %s', (_, change) => {
    expect(changed(change)).toEqual(expect.any(String));
  });

  it.each(['', '[', 'null', '7', '\ufeff{}', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')])(
    'takes what is no spec for the worst: %j',
    (text) => expect(hostReasonOfSpec(Buffer.from(text, 'latin1'))).toEqual(expect.any(String)),
  );

  it('is not taken in by keys that stand twice: others count the first, or both', () => {
    const text = JSON.stringify(plain());
    const twice = text.replace('"linux":', '"linux":{"devices":[{"path":"/dev/sda","type":"b"}]},"linux":');
    expect(hostReasonOfSpec(bytes(twice))).toBe('its spec has "linux" twice');
    const escaped = text.replace('"root":', '"\\u0072oot":{"path":"/"},"root":');
    expect(hostReasonOfSpec(bytes(escaped))).toBe('its spec has "root" twice');
  });
});

describe('duplicateKey', () => {
  it('looks at each object for itself, and at keys only', () => {
    expect(duplicateKey('{"a":{"b":1},"b":[{"b":"b"},{"b":"\\":{}"}],"c":"a"}')).toBeUndefined();
    expect(duplicateKey('{"a":[{"b":1,"c":{"d":1},"B":2}]}')).toBe('b');
  });
});

describe('a process that joins, and new limits', () => {
  it('may have no more than a container has by default', () => {
    const { process } = plain();
    expect(hostReasonOfProcess(bytes({ ...process, args: ['sh'] }))).toBeUndefined();
    expect(hostReasonOfProcess(bytes({ ...process, capabilities: { permitted: ['CAP_SYS_ADMIN'] } }))).toBe(
      'capability CAP_SYS_ADMIN',
    );
    expect(hostReasonOfResources(bytes({ memory: { limit: 1 } }))).toBeUndefined();
    expect(hostReasonOfResources(bytes({ devices: [{ allow: true }] }))).toBe('resources has "devices"');
  });
});
