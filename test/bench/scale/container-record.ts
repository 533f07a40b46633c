import type { MessageInitShape } from '@bufbuild/protobuf';
import { defaultSpec, encodeSpec, type RuntimeSpec } from '@longshore/oci/runtime-spec';
import type {
  Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import { JsonTypeUrl } from '@longshore/proto/json-types';

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
    spec: { typeUrl: JsonTypeUrl.Spec, value: encodeSpec(specOf(id)) },
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

function specOf(id: string): RuntimeSpec {
  const { process, mounts, ...spec } = defaultSpec({ namespace: 'default', id });
  const files = ['hosts', 'hostname', 'resolv.conf'].map((name) => ({
    destination: `/etc/${name}`,
    type: 'bind',
    source: `/var/lib/containers/${id}/etc/${name}`,
    options: ['nosuid', 'noexec', 'nodev', 'rbind', 'rprivate'],
  }));
  return {
    ...spec,
    hostname: id,
    process: {
      ...process!,
      args: ['/usr/bin/server', '--config', '/etc/server/config.yaml', '--listen', '0.0.0.0:8080'],
      env: Array.from({ length: 16 }, (_, i) => `SETTING_${i}=value-${i}-of-${id}`),
    },
    mounts: [...mounts!, ...files],
  };
}
