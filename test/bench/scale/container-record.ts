import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';

const SPEC_TYPE = 'types.containerd.io/opencontainers/runtime-spec/1/Spec';

const CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
]
  .concat(['NET_RAW', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'])
  .map((name) => `CAP_${name}`);

const MASKED = [
  'acpi',
  'asound',
  'kcore',
  'keys',
  'latency_stats',
  'sched_debug',
  'scsi',
  'timer_list',
  'timer_stats',
];
const READ_ONLY = ['bus', 'fs', 'irq', 'sys', 'sysrq-trigger'];

/** Each app has one container in this many: what a filter by label or image finds. */
export const APPS = 1000;

/** Container `number` of a fleet as a client would make it, some 5 KiB. */
export function containerRecord(
  number: number,
): Exclude<MessageInitShape<typeof ContainerSchema>, Container> {
  const id = `container-${number}`;
  const app = number % APPS;
  return {
    id,
    image: imageOf(app),
    labels: {
      app: labelOf(app),
      tier: number % 3 === 0 ? 'web' : 'worker',
      'containerd.io/restart.policy': 'always',
      'nerdctl/hostname': id,
    },
    runtime: { name: 'io.containerd.runc.v2' },
    spec: { typeUrl: SPEC_TYPE, value: Buffer.from(JSON.stringify(specOf(id))) },
    snapshotter: 'overlayfs',
    snapshotKey: id,
  };
}

export function labelOf(app: number): string {
  return `app-${app}`;
}

export function imageOf(app: number): string {
  return `registry.example.net/apps/app-${app}:1.0`;
}

function specOf(id: string) {
  return {
    ociVersion: '1.2.0',
    process: {
      user: { uid: 0, gid: 0, additionalGids: [0, 10] },
      args: ['/usr/bin/server', '--config', '/etc/server/config.yaml', '--listen', '0.0.0.0:8080'],
      env: Array.from({ length: 16 }, (_, i) => `SETTING_${i}=value-${i}-of-${id}`),
      cwd: '/',
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs' },
    hostname: id,
    mounts: [
      'proc',
      'dev',
      'dev/pts',
      'dev/shm',
      'dev/mqueue',
      'sys',
      'run',
      'etc/hosts',
      'etc/resolv.conf',
    ].map((path) => ({
      destination: `/${path}`,
      type: 'bind',
      source: `/var/lib/containers/${id}/${path}`,
      options: ['nosuid', 'noexec', 'nodev', 'rbind', 'rprivate'],
    })),
    linux: {
      cgroupsPath: `/default/${id}`,
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        memory: { limit: 268435456 },
        cpu: { shares: 512 },
      },
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network', 'cgroup'].map((type) => ({ type })),
      maskedPaths: MASKED.map((name) => `/proc/${name}`),
      readonlyPaths: READ_ONLY.map((name) => `/proc/${name}`),
    },
  };
}
