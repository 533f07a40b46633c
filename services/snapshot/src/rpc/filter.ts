import { ABSENT, type Adaptor, mapField } from '@longshore/filters';
import type { Snapshot } from '../domain/snapshot.ts';

/**
 * Fields that filters of snapshots may name. An empty parent counts as present, so that `parent==""` finds base layers.
 * Source: containerd core/metadata/adaptors.go.
 */
export function snapshotAdaptor({ kind, name, parent, labels }: Snapshot): Adaptor {
  const fields: Record<string, string> = { kind, name, parent };
  return ([field = '', ...rest]) => {
    if (field === 'labels') return mapField(labels, rest);
    return Object.hasOwn(fields, field) ? { value: fields[field]!, present: true } : ABSENT;
  };
}
