import { randomBytes } from 'node:crypto';
import { failedPrecondition, internal, invalidArgument, isKind } from '@longshore/errors';
import { parseIdentifier, platformOfNode } from '@longshore/oci';
import { encodeSpec, type RuntimeSpec } from '@longshore/oci/runtime-spec';
import { type Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { withLease } from '@longshore/transfer';
import type { ContainerParts } from '../../access/host/container-reason.ts';
import type { Backends } from '../backends.ts';
import { requireOwn } from '../labels.ts';
import type { RequestCall } from '../request-call.ts';
import { type ContainerDescription, MADE_INTO_SPEC } from './description.ts';
import { imagePlatform } from './image-platform.ts';
import { imageUsers, ROOT_ONLY } from './image-users.ts';
import { specOf } from './spec-of.ts';
import { readImage, type UnpackedImage } from './unpacked-image.ts';

/** By which a node knows how an image wants to be stopped. */
const STOP_SIGNAL_LABEL = 'io.containerd.image.config.stop-signal';

/** Throws PermissionDenied when the caller may not make a container of this record. */
export type JudgeContainer = (container: ContainerParts) => Promise<void>;

/**
 * Makes a container on a node as a person describes it: its root file system over the image's, its spec, its record. What
 * fails leaves nothing. Throws AlreadyExists for an id that is taken, NotFound for an image that the node does not have,
 * FailedPrecondition for one that is not unpacked there, and what `judge` throws, before anything is made.
 */
export async function createContainer(
  backends: Backends,
  call: RequestCall,
  node: string,
  wanted: ContainerDescription,
  judge: JudgeContainer,
): Promise<Container> {
  const id = parseIdentifier(wanted.id ?? `c-${randomBytes(6).toString('hex')}`);
  requireOne(wanted);
  requireOwn(wanted.labels);
  const clients = await backends.in(node);
  const architecture = await architectureOf(backends, call, node);
  const platform = imagePlatform(wanted.platform, architecture);
  const image =
    wanted.image === undefined ? undefined : await readImage(clients, call, wanted.image, platform);
  const namespace = call.headers[Header.Namespace] ?? '';
  const agent = await backends.agent(node);
  const user = wanted.user ?? image?.config.config?.User ?? '';
  const { snapshotter } = wanted;
  const files = image
    ? await imageUsers(agent, call, { snapshotter, chainId: image.chainId, user })
    : ROOT_ONLY;
  const spec =
    (wanted.spec as RuntimeSpec | undefined) ??
    specOf(wanted, { namespace, id, image: image?.config, architecture, files });
  const record = {
    id,
    labels: { ...stopSignalOf(image), ...wanted.labels },
    image: wanted.image ?? '',
    runtime: { name: wanted.runtime },
    spec: { typeUrl: JsonTypeUrl.Spec, value: encodeSpec(spec) },
    ...(image && { snapshotter, snapshotKey: id }),
  };
  await judge(record);
  return withLease(clients.leases, call, async (leased) => {
    const snapshots = agent.client(Snapshots);
    if (image) await prepare(snapshots, leased, { id, node, snapshotter, image, name: wanted.image ?? '' });
    try {
      const { container } = await agent.client(Containers).create({ container: record }, leased);
      if (!container) throw internal('container: none was answered');
      return container;
    } catch (error) {
      // Whether it was made, an outage does not say: then its lease ends, and the collector knows.
      if (image && !isKind(error, 'Unavailable', 'DeadlineExceeded', 'Canceled')) {
        await snapshots.remove({ snapshotter, key: id }, leased).catch(() => undefined);
      }
      throw error;
    }
  });
}

function requireOne(wanted: ContainerDescription): void {
  if (wanted.spec === undefined) {
    if (wanted.image === undefined) throw invalidArgument('body: want an image, or a spec');
    return;
  }
  const both = MADE_INTO_SPEC.find((field) => wanted[field] !== undefined);
  if (both !== undefined) throw invalidArgument(`field ${JSON.stringify(both)}: "spec" says it all`);
}

async function architectureOf({ nodes }: Backends, { signal, headers }: RequestCall, id: string) {
  const { node } = await nodes.get({ id }, { signal, headers });
  return platformOfNode(node?.architecture ?? '').architecture;
}

interface Rootfs {
  id: string;
  node: string;
  snapshotter: string;
  image: UnpackedImage;
  name: string;
}

async function prepare(
  snapshots: ServiceClient<typeof Snapshots>,
  call: CallOptions,
  { id, node, snapshotter, image, name }: Rootfs,
): Promise<void> {
  try {
    await snapshots.prepare({ snapshotter, key: id, parent: image.chainId }, call);
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
    throw failedPrecondition(
      `image ${JSON.stringify(name)}: node ${JSON.stringify(node)} has not unpacked it for snapshotter ${JSON.stringify(snapshotter)}`,
      { cause: error },
    );
  }
}

function stopSignalOf(image: UnpackedImage | undefined): Record<string, string> {
  const signal = image?.config.config?.StopSignal;
  return signal ? { [STOP_SIGNAL_LABEL]: signal } : {};
}
