import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Image, makeBusyboxImage } from '@longshore/local';
import type { ImageConfig } from '@longshore/oci';
import {
  applySpecOptions,
  DEFAULT_MASKED_PATHS,
  defaultSpec,
  encodeSpec,
  parseCapabilityMask,
  type RuntimeSpec,
  readHostDevices,
  type SeccompSpec,
  type SpecOption,
  type UserFiles,
  withAddedCapabilities,
  withAllDevicesAllowed,
  withAnnotations,
  withCpuCfs,
  withDefaultSeccomp,
  withDefaultUnixDevices,
  withDevices,
  withDroppedCapabilities,
  withEnv,
  withHostNetwork,
  withImageConfig,
  withLinuxDevices,
  withLinuxNamespace,
  withMaskedPaths,
  withMemoryLimit,
  withMounts,
  withNewPrivileges,
  withPrivileged,
  withProcessArgs,
  withProcessCwd,
  withRootfsReadonly,
  withTty,
} from '@longshore/oci/runtime-spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { ociArchive } from './runtime-spec/oci-archive.ts';

const PASSWD = 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/:/bin/sh\nlone:x:7:8::/:/bin/sh\n';
const GROUP = 'root:x:0:\ndisk:x:6:root\nstaff:x:50:app,root\napp:x:1001:app\nlone:x:8:\n';
const files: UserFiles = { passwd: () => PASSWD, group: () => GROUP };

/** What the images' configs say of the user; the first is the one that most cases run. */
const USERS = [
  '',
  'app',
  '1000',
  '4242',
  'lone',
  'app:staff',
  'app:7',
  '4242:staff',
  '4242:4343',
  'app:',
  ':staff',
];

const CONFIG: NonNullable<ImageConfig['config']> = {
  Env: ['PATH=/bin', 'A=1'],
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['true'],
  WorkingDir: '/tmp',
};

/** What Debian's containerd 1.6 does not have yet. */
const asIn16: SpecOption = (spec) => ({
  ...withMaskedPaths(
    (spec.linux?.maskedPaths ?? []).filter((path) => path !== '/sys/devices/virtual/powercap'),
  )(spec),
  ociVersion: '1.0.2-dev',
});

let peer: PeerContainerd;

beforeAll(async () => {
  expect(DEFAULT_MASKED_PATHS).toContain('/sys/devices/virtual/powercap');
  const images = await Promise.all(USERS.map(async (user) => [nameOf(user), await imageOf(user)] as const));
  const directory = await mkdtemp(join(tmpdir(), 'longshore-archive-'));
  try {
    const archive = join(directory, 'images.tar');
    await writeFile(archive, ociArchive(new Map(images)));
    peer = await startContainerd();
    await peer.ctr.ok(['image', 'import', archive]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
afterAll(() => peer?.[Symbol.asyncDispose]());

function nameOf(user: string): string {
  return `docker.io/test/user:${USERS.indexOf(user)}`;
}

function imageOf(user: string): Promise<Image> {
  const layer = [
    { path: 'etc/passwd', type: 'file', content: PASSWD },
    { path: 'etc/group', type: 'file', content: GROUP },
  ] as const;
  return makeBusyboxImage({ layers: [layer], config: { ...CONFIG, User: user } });
}

async function theirs(
  id: string,
  user: string,
  flags: string[] = [],
  args: string[] = [],
): Promise<RuntimeSpec> {
  await peer.ctr.ok(['container', 'create', ...flags, nameOf(user), id, ...args]);
  return JSON.parse(await peer.ctr.ok(['container', 'info', '--spec', id]));
}

/** What `ctr` asks its client library for. Source: containerd cmd/ctr/commands/run/run_unix.go. */
function ours(id: string, user: string, ...options: SpecOption[]): RuntimeSpec {
  const image: ImageConfig = {
    os: 'linux',
    architecture: 'amd64',
    config: { ...CONFIG, User: user },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  const base = defaultSpec({ namespace: 'default', id });
  return applySpecOptions(base, withDefaultUnixDevices, withImageConfig(image, files), ...options, asIn16);
}

/** As a Go program writes it: what is empty or false is left out, but for the word of a rule. */
function asGoWrites(spec: unknown): unknown {
  const bytes = encodeSpec(spec as RuntimeSpec);
  return JSON.parse(new TextDecoder().decode(bytes), (key, value) => {
    if (value === false && key !== 'allow') return undefined;
    return typeof value === 'object' && Object.keys(value).length === 0 ? undefined : value;
  });
}

const ownCapabilities = () => {
  const [, mask = ''] = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  return parseCapabilityMask(mask);
};
const mount = { destination: '/data', type: 'bind', source: '/tmp', options: ['rbind', 'ro'] };

describe('the spec of a container', () => {
  it.each<[string, string[], () => SpecOption[]]>([
    ['by default', [], () => []],
    ['with a terminal', ['--tty'], () => [withTty]],
    // The variable is of ctr's own making.
    ["on the host's network", ['--net-host'], () => [withHostNetwork, withEnv([`HOSTNAME=${hostname()}`])]],
    [
      'with variables, a directory, annotations',
      ['--env', 'A=2', '--env', 'B=3', '--cwd', '/root', '--annotation', 'a=b'],
      () => [withEnv(['A=2', 'B=3']), withProcessCwd('/root'), withAnnotations({ a: 'b' })],
    ],
    [
      'read-only, with new privileges',
      ['--read-only', '--allow-new-privs'],
      () => [withRootfsReadonly, withNewPrivileges],
    ],
    [
      'with limits',
      ['--memory-limit', '33554432', '--cpu-quota', '50000', '--cpu-period', '200000'],
      () => [withMemoryLimit(33554432), withCpuCfs(50000, 200000)],
    ],
    [
      'with other capabilities',
      ['--cap-add', 'CAP_BPF', '--cap-add', 'CAP_KILL', '--cap-drop', 'CAP_CHOWN'],
      () => [withAddedCapabilities(['CAP_BPF', 'CAP_KILL']), withDroppedCapabilities(['CAP_CHOWN'])],
    ],
    [
      'in a namespace that exists',
      ['--with-ns', 'network:/proc/1/ns/net'],
      () => [withLinuxNamespace({ type: 'network', path: '/proc/1/ns/net' })],
    ],
    [
      'with a mount and a device',
      ['--mount', 'type=bind,src=/tmp,dst=/data,options=rbind:ro', '--device', '/dev/zero'],
      () => [withMounts([mount]), withDevices(readHostDevices('/dev/zero'))],
    ],
    [
      'privileged',
      ['--privileged'],
      () => [
        withPrivileged(ownCapabilities()),
        withAllDevicesAllowed,
        withLinuxDevices(readHostDevices('/dev')),
      ],
    ],
  ])("is %s a containerd's own", async (name, flags, options) => {
    const id = name.replaceAll(/[^a-z]+/g, '-');
    expect(asGoWrites(ours(id, '', ...options()))).toEqual(asGoWrites(await theirs(id, '', flags)));
  });

  it("has a containerd's own command when the caller gives one", async () => {
    const args = ['echo', 'a b'];
    const { process } = await theirs('args', '', [], args);
    expect(ours('args', '', withProcessArgs(args)).process?.args).toEqual(process?.args);
  });

  it.each(USERS)("has a containerd's own user for an image that says %j", async (user) => {
    const id = `user-${USERS.indexOf(user)}`;
    const { process } = await theirs(id, user);
    expect(ours(id, user).process?.user).toEqual(process?.user);
  });
});

describe('the default filter of system calls', () => {
  /** Newer containerds forbid these. */
  const FORBIDDEN_SINCE = ['io_uring_enter', 'io_uring_register', 'io_uring_setup', 'socket'];
  /** Newer containerds allow these: most are younger than 1.6. */
  const ALLOWED_SINCE =
    'cachestat fchmodat2 futex_requeue futex_wait futex_wake getxattrat listmount listxattrat lsm_get_self_attr ' +
    'lsm_list_modules lsm_set_self_attr map_shadow_stack mseal name_to_handle_at process_vm_readv process_vm_writev ' +
    'removexattrat setxattrat statmount uretprobe get_mempolicy mbind set_mempolicy set_mempolicy_home_node';

  /** Each name with the rules that are about it, in one order. */
  function rulesOf({ syscalls = [] }: SeccompSpec): Map<string, string[]> {
    const pairs = syscalls.flatMap(({ names, ...rule }) =>
      names.map((name) => [name, JSON.stringify(rule)] as const),
    );
    const byName = Map.groupBy(pairs, ([name]) => name);
    return new Map(
      [...byName].map(([name, rules]) => [name, [...new Set(rules.map(([, rule]) => rule))].sort()]),
    );
  }

  it.each([
    ['default', []],
    [
      'ptrace',
      ['CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH', 'CAP_SYS_TIME', 'CAP_SYSLOG', 'CAP_BPF', 'CAP_PERFMON'],
    ],
    [
      'admin',
      ['CAP_SYS_ADMIN', 'CAP_SYS_BOOT', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO', 'CAP_SYS_NICE', 'CAP_SYS_PACCT'],
    ],
  ])("is a containerd's own for capabilities (%s), but for what has changed since", async (name, added) => {
    const flags = ['--seccomp', ...added.flatMap((capability) => ['--cap-add', capability])];
    const { linux } = await theirs(`seccomp-${name}`, '', flags);
    const own = ours(`seccomp-${name}`, '', withAddedCapabilities(added), withDefaultSeccomp()).linux
      ?.seccomp;
    expect({ ...own, syscalls: [] }).toEqual({ ...linux?.seccomp, syscalls: [] });

    const [before, after] = [rulesOf(linux!.seccomp!), rulesOf(own!)];
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (call) => JSON.stringify(before.get(call)) !== JSON.stringify(after.get(call)),
    );
    const known = new Set([...FORBIDDEN_SINCE, ...ALLOWED_SINCE.split(' ')]);
    expect(changed.filter((call) => !known.has(call))).toEqual([]);
    expect(changed).toEqual(expect.arrayContaining(FORBIDDEN_SINCE));
  });
});
