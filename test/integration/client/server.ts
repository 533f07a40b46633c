import { randomBytes } from 'node:crypto';
import {
  Client,
  type ConnectionOptions,
  type ContainerOption,
  type Image,
  imageConfig,
  type SpecPart,
  withImage,
  withLabels,
  withNewSnapshot,
  withNewSpec,
  withRuntime,
} from '@longshore/client';
import { type SpecOption, withCgroup } from '@longshore/oci/runtime-spec';

/** A server that the suite runs against. */
export interface Server {
  readonly address: string;
  readonly options: ConnectionOptions;
  /** In its namespace `default`, unpacked. */
  readonly imageName: string;
  /** Of its containers' cgroups, so that nothing of two servers collides. */
  readonly cgroup: string;
  /** For shims: runc's own state, which two servers on one machine must not share. */
  readonly runtimeOptions: { typeUrl: string; value: Uint8Array } | undefined;
  /** Where fifos are made, for those who share this machine's files. */
  readonly fifos: string;
}

/** A client of one server, in its default namespace. */
export function openClient(server: Server, more: ConnectionOptions = {}): Client {
  return new Client(server.address, { fifoDirectory: server.fifos, ...server.options, ...more });
}

let made = 0;

/** A fresh name of a container. */
export function freshId(): string {
  made += 1;
  return `c${made}-${randomBytes(3).toString('hex')}`;
}

/** What makes a container of busybox that runs a script. */
export async function scripted(
  server: Server,
  client: Client,
  id: string,
  script: string,
  ...spec: (SpecOption | SpecPart)[]
): Promise<ContainerOption[]> {
  const image: Image = await client.images.get(server.imageName);
  return [
    withImage(image),
    withNewSnapshot(id, image),
    withNewSpec(imageConfig(image, ['sh', '-c', script]), withCgroup(`${server.cgroup}/${id}`), ...spec),
    withRuntime('io.containerd.runc.v2', server.runtimeOptions),
    withLabels({ suite: 'client' }),
  ];
}
