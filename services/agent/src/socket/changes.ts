import type { RecordKind } from '../records/record-kinds.ts';

const KINDS: Readonly<Record<string, RecordKind>> = {
  'containerd.services.containers.v1.Containers': 'container',
  'containerd.services.sandbox.v1.Store': 'sandbox',
  'containerd.services.content.v1.Content': 'content',
  'containerd.services.namespaces.v1.Namespaces': 'namespace',
  'containerd.services.images.v1.Images': 'image',
  'containerd.services.snapshots.v1.Snapshots': 'snapshot',
};

const CHANGES: ReadonlySet<string> = new Set([
  'Create',
  'Update',
  'Delete',
  'Prepare',
  'View',
  'Commit',
  'Remove',
]);

/** The kind of record that calls of a method path change; undefined for other methods. Content's Write is no such call. */
export function changedKind(path: string): RecordKind | undefined {
  const [, service = '', method = ''] = path.split('/');
  return CHANGES.has(method) && Object.hasOwn(KINDS, service) ? KINDS[service] : undefined;
}
