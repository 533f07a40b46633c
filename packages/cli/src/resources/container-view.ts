import { ReservedLabel } from '@longshore/proto/headers';
import { ageText, timeOf } from '../output/quantity.ts';
import type { View } from '../output/show.ts';
import { shortened } from '../output/width.ts';
import type { ListedContainer } from './containers.ts';
import { specOf } from './spec.ts';

const COMMAND_WIDTH = 24;
const ID_WIDTH = 32;

export interface ContainerViewOptions {
  /** Ids and commands are cut to what is usually enough to tell them apart. */
  isShort: boolean;
  showsNode: boolean;
  showsNamespace: boolean;
}

/** Containers as Docker lists them; ids are names here. */
export function containerView({
  isShort,
  showsNode,
  showsNamespace,
}: ContainerViewOptions): View<ListedContainer> {
  const cut = (text: string, width: number) => (isShort ? shortened(text, width) : text);
  return {
    columns: [
      ...(showsNamespace ? [{ header: 'NAMESPACE', value: (item: ListedContainer) => item.namespace }] : []),
      { header: 'CONTAINER ID', value: ({ record }) => cut(record.id, ID_WIDTH) },
      { header: 'IMAGE', value: ({ record }) => record.image, shrinks: true },
      {
        header: 'COMMAND',
        value: (item) => cut(JSON.stringify(commandOf(item)), COMMAND_WIDTH),
        shrinks: true,
      },
      { header: 'CREATED', value: ({ record }) => ageText(record.createdAt) },
      { header: 'STATUS', value: statusText },
      ...(showsNode ? [{ header: 'NODE', value: (item: ListedContainer) => item.node }] : []),
      { header: 'PID', value: ({ task }) => (task?.pid ? String(task.pid) : ''), isWide: true },
      { header: 'RUNTIME', value: ({ record }) => record.runtime?.name ?? '', isWide: true },
      { header: 'SNAPSHOTTER', value: ({ record }) => record.snapshotter, isWide: true },
    ],
    name: ({ record }) => record.id,
    document: containerDocument,
  };
}

export function containerDocument(item: ListedContainer) {
  const { record, task, namespace, node, status } = item;
  const { [ReservedLabel.Node]: _node, [ReservedLabel.Deleting]: _deleting, ...labels } = record.labels;
  return {
    id: record.id,
    namespace,
    node: node || null,
    status,
    image: record.image,
    command: specOf(record)?.process?.args ?? [],
    labels,
    runtime: record.runtime?.name ?? '',
    snapshotter: record.snapshotter,
    snapshot_key: record.snapshotKey,
    sandbox: record.sandbox,
    pid: task?.pid ?? null,
    exit_code: status === 'stopped' ? (task?.exitStatus ?? null) : null,
    exited_at: timeOf(task?.exitedAt),
    created_at: timeOf(record.createdAt),
    updated_at: timeOf(record.updatedAt),
  };
}

function commandOf({ record }: ListedContainer): string {
  return (specOf(record)?.process?.args ?? []).join(' ');
}

function statusText({ status, task }: ListedContainer): string {
  switch (status) {
    case 'running':
      return 'Up';
    case 'paused':
    case 'pausing':
      return 'Up (Paused)';
    case 'stopped':
      return `Exited (${task?.exitStatus ?? 0}) ${ageText(task?.exitedAt)}`.trimEnd();
    case 'none':
    case 'created':
      return 'Created';
    case 'deleting':
      return 'Deleting';
    default:
      return 'Unknown';
  }
}
