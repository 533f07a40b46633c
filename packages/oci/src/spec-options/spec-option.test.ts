import { describe, expect, it } from 'vitest';
import type { ImageConfig } from '../index.ts';
import * as all from '../runtime-spec.ts';
import {
  applySpecOptions,
  composeSpecOptions,
  defaultSpec,
  type RuntimeSpec,
  type SpecOption,
  withEnv,
  withProcessArgs,
} from '../runtime-spec.ts';

const files = { passwd: () => 'app:x:1000:1000:::\n', group: () => 'app:x:1000:\n' };
const image: ImageConfig = {
  os: 'linux',
  architecture: 'amd64',
  rootfs: { type: 'layers', diff_ids: [] },
};
const range = [{ containerID: 0, hostID: 100000, size: 65536 }];

/** What each option takes. An option that is not here is one itself. */
const ARGUMENTS: Record<string, unknown[]> = {
  withAddedCapabilities: [['CAP_BPF']],
  withAdditionalGids: ['app', files],
  withAmbientCapabilities: [['CAP_KILL']],
  withAnnotations: [{ a: 'b' }],
  withApparmorProfile: ['profile'],
  withAppendAdditionalGroups: [['9'], files],
  withBlockIo: [{ weight: 10 }],
  withCapabilities: [['CAP_KILL']],
  withCgroup: ['/a/b'],
  withCpu: [{ shares: 2 }],
  withCpuBurst: [1],
  withCpuCfs: [50_000],
  withCpuCount: [1.5],
  withCpuRt: [1, 2],
  withCpuShares: [512],
  withCpus: ['0-1'],
  withCpusMems: ['0'],
  withDefaultSeccomp: ['amd64'],
  withDevShmSize: [1024],
  withDeviceRules: [[{ allow: true }]],
  withDevices: [[{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }]],
  withDomainname: ['example'],
  withDroppedCapabilities: [['CAP_KILL']],
  withEnv: [['A=1']],
  withHostNamespace: ['pid'],
  withHostname: ['web'],
  withImageConfig: [image, files],
  withLinuxDevices: [[{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }]],
  withLinuxNamespace: [{ type: 'cgroup' }],
  withMaskedPaths: [['/proc/a']],
  withMemory: [{ reservation: 1 }],
  withMemoryLimit: [1],
  withMemorySwap: [-1],
  withMounts: [[{ destination: '/data' }]],
  withOomScoreAdj: [5],
  withPidsLimit: [5],
  withPrivileged: [],
  withProcessArgs: [['true']],
  withProcessCwd: ['/srv'],
  withRdt: [{ closID: 'gold' }],
  withReadonlyPaths: [['/proc/a']],
  withResources: [{ unified: { 'memory.high': '1' } }],
  withRlimit: ['RLIMIT_NOFILE', 5],
  withRootfsPath: ['/srv/root'],
  withRootfsPropagation: ['rslave'],
  withSeccomp: [{ defaultAction: 'SCMP_ACT_ALLOW' }],
  withSelinuxLabel: ['label'],
  withSysctl: [{ 'net.ipv4.ip_forward': '1' }],
  withTtySize: [80, 24],
  withUidGid: [1, 2],
  withUmask: [0o22],
  withUser: ['app', files],
  withUserId: [1000, files],
  withUserNamespace: [range, range],
  withUsername: ['app', files],
  withoutMounts: [['/run']],
};

/** What is named as an option, but for one that is about labels. */
const OPTIONS = Object.entries(all as unknown as Record<string, unknown>).filter(
  ([name]) => /^with(out)?[A-Z]/.test(name) && name !== 'withoutEmptyLabels',
);

/** Options that ask for what a default spec has already, or lacks. */
const NO_CHANGE = ['withNoNewPrivileges', 'withSeccompUnconfined', 'withWriteableCgroupfs'];

function optionOf(name: string, value: unknown): SpecOption {
  const args = ARGUMENTS[name];
  return args ? (value as (...args: unknown[]) => SpecOption)(...args) : (value as SpecOption);
}

function frozen(spec: RuntimeSpec): RuntimeSpec {
  const freeze = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  };
  freeze(spec);
  return spec;
}

describe('every option', () => {
  const base = frozen(defaultSpec({ namespace: 'default', id: 'web' }));

  it.each(OPTIONS)('%s changes a copy, and an empty spec too', (name, value) => {
    const option = optionOf(name, value);
    const before = structuredClone(base);
    const changed = option(base);
    expect(base).toEqual(before);
    if (!NO_CHANGE.includes(name)) expect(changed).not.toEqual(before);
    if (name !== 'withDevShmSize') expect(option({ ociVersion: '1.1.0' }).ociVersion).toBe('1.1.0');
  });
});

describe('applySpecOptions', () => {
  it('applies in order, composed or not', () => {
    const later = composeSpecOptions(withEnv(['A=2']), withProcessArgs(['b']));
    const spec = applySpecOptions({ ociVersion: '1.1.0' }, withEnv(['A=1']), withProcessArgs(['a']), later);
    expect(spec.process).toMatchObject({ env: ['A=2'], args: ['b'] });
  });
});

describe('defaultSpec', () => {
  it('gives each container a spec of its own', () => {
    defaultSpec({ namespace: 'a', id: 'b' }).mounts?.[0]?.options?.push('changed');
    expect(defaultSpec({ namespace: 'a', id: 'b' }).mounts?.[0]?.options).not.toContain('changed');
    expect(defaultSpec({ namespace: 'a', id: 'b' }).linux?.cgroupsPath).toBe('/a/b');
  });
});
