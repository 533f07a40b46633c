import { notFound } from '@longshore/errors';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { nodeToJson } from '@longshore/proto/node-json';
import type { Calls } from '../calls.ts';
import { timeOf } from '../output/quantity.ts';
import { containerDocument } from './container-view.ts';
import { listed } from './containers.ts';
import { findContainer } from './find-container.ts';
import { findImage, partsOf, readImage } from './images.ts';
import { listNamespaces } from './namespaces.ts';
import { specOf } from './spec.ts';
import { ifThere, taskOf } from './task-states.ts';

/** Answers all that is known of what is named; throws NotFound. */
type Inspect = (client: Calls, name: string) => Promise<object>;

/** By the word for it, in the order in which a bare name is looked for. */
export const INSPECT: Readonly<Record<string, Inspect>> = {
  container: inspectContainer,
  image: inspectImage,
  node: inspectNode,
  snapshot: inspectSnapshot,
  lease: inspectLease,
  content: inspectContent,
  namespace: inspectNamespace,
};

async function inspectContainer(client: Calls, typed: string): Promise<object> {
  const { record, client: scoped } = await findContainer(client, typed);
  const task = await taskOf(scoped, record.id);
  return {
    ...containerDocument(listed(scoped, record, task)),
    task: task
      ? {
          pid: task.pid,
          terminal: task.terminal,
          stdin: task.stdin,
          stdout: task.stdout,
          stderr: task.stderr,
        }
      : null,
    runtime_options: record.runtime?.options?.typeUrl ?? null,
    extensions: Object.keys(record.extensions),
    spec: specOf(record) ?? null,
  };
}

async function inspectImage(client: Calls, typed: string): Promise<object> {
  const record = await findImage(client, typed);
  const [parts, whole] = await Promise.all([partsOf(client, record), ifThere(readImage(client, record))]);
  return {
    name: record.name,
    labels: record.labels,
    target: {
      media_type: record.target?.mediaType,
      digest: record.target?.digest,
      size: Number(record.target?.size ?? 0n),
    },
    platforms: parts.map(({ platform, manifest, sizeBytes }) => ({
      platform,
      manifest,
      size_bytes: sizeBytes,
    })),
    manifest: whole?.manifest ?? null,
    config: whole?.config ?? null,
    created_at: timeOf(record.createdAt),
    updated_at: timeOf(record.updatedAt),
  };
}

async function inspectNode(client: Calls, id: string): Promise<object> {
  const { node } = await client.service(NodeService).get({ id });
  if (!node) throw notFound(`node "${id}"`);
  return nodeToJson(node);
}

async function inspectSnapshot(client: Calls, typed: string): Promise<object> {
  const slash = typed.startsWith('sha256:') ? -1 : typed.indexOf('/');
  const snapshotter = slash < 0 ? 'overlayfs' : typed.slice(0, slash);
  const key = typed.slice(slash + 1);
  const [{ info }, usage] = await Promise.all([
    client.service(Snapshots).stat({ snapshotter, key }),
    client.service(Snapshots).usage({ snapshotter, key }),
  ]);
  return {
    snapshotter,
    name: info?.name,
    parent: info?.parent || null,
    kind: ['unknown', 'view', 'active', 'committed'][info?.kind ?? 0],
    labels: info?.labels ?? {},
    size_bytes: Number(usage.size),
    inodes: Number(usage.inodes),
    created_at: timeOf(info?.createdAt),
    updated_at: timeOf(info?.updatedAt),
  };
}

async function inspectLease(client: Calls, id: string): Promise<object> {
  const { leases } = await client.service(Leases).list({ filters: [`id==${JSON.stringify(id)}`] });
  const [lease] = leases;
  if (!lease) throw notFound(`lease "${id}"`);
  const { resources } = await client.service(Leases).listResources({ id });
  return {
    id,
    labels: lease.labels,
    resources: resources.map(({ type, id }) => ({ type, id })),
    created_at: timeOf(lease.createdAt),
  };
}

async function inspectContent(client: Calls, digest: string): Promise<object> {
  if (!/^[a-z0-9]+:[0-9a-f]+$/.test(digest)) throw notFound(`content "${digest}"`);
  const { info } = await client.service(Content).info({ digest });
  return {
    digest,
    size_bytes: Number(info?.size ?? 0n),
    labels: info?.labels ?? {},
    created_at: timeOf(info?.createdAt),
    updated_at: timeOf(info?.updatedAt),
  };
}

async function inspectNamespace(client: Calls, name: string): Promise<object> {
  const found = (await listNamespaces(client)).find((each) => each.name === name);
  if (!found) throw notFound(`namespace "${name}"`);
  return { name, labels: found.labels };
}
