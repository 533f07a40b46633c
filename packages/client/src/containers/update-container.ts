import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import { underLease } from '../leases/work-lease.ts';
import type { ContainerDraft, ContainerOption } from './container-draft.ts';
import { type ContainerInfo, containerInfoFromProto } from './container-info.ts';
import { imageConfigs } from './image-configs.ts';

/** By the names that containerd's field masks have. Source: containerd core/metadata/containers.go. */
const WHOLE_FIELDS = {
  image: 'image',
  spec: 'spec',
  snapshotKey: 'snapshotkey',
  snapshotter: 'snapshotter',
  runtime: 'runtime',
  sandbox: 'sandbox',
} as const;
const FIELDS = Object.keys(WHOLE_FIELDS) as (keyof typeof WHOLE_FIELDS)[];

/**
 * Applies options to the record of a container that is there, and writes what they have changed, all of it or nothing. What others have
 * changed meanwhile elsewhere in the record stays. Throws NotFound, and InvalidArgument for what a record cannot change.
 */
export async function updateContainer(
  connection: Connection,
  id: string,
  options: readonly ContainerOption[],
  given: CallOptions,
): Promise<ContainerInfo> {
  return underLease(connection, async ({ headers }) => {
    const call = { ...given, headers: { ...given.headers, ...headers } };
    const containers = connection.service(Containers);
    const { container: before } = await containers.get({ id }, call);
    const { $typeName: _, ...record } = before!;
    const draft: ContainerDraft = { id, connection, call, configOf: imageConfigs(call), record };
    for (const option of options) await option(draft);
    const fields = FIELDS.filter((field) => record[field] !== before![field]);
    const labels = changedIn(before!.labels, record.labels);
    const extensions = changedIn(before!.extensions, record.extensions);
    const paths = [
      ...fields.map((field) => WHOLE_FIELDS[field]),
      ...Object.keys(labels).map((name) => `labels.${name}`),
      ...Object.keys(extensions).map((name) => `extensions.${name}`),
    ];
    if (paths.length === 0) return containerInfoFromProto(before!);
    const changed = { ...record, labels, extensions };
    const { container } = await containers.update({ container: changed, updateMask: { paths } }, call);
    return containerInfoFromProto(container!);
  });
}

function changedIn<T>(before: Readonly<Record<string, T>>, after: Readonly<Record<string, T>>) {
  return Object.fromEntries(Object.entries(after).filter(([name, value]) => before[name] !== value));
}
