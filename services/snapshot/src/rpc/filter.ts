import { ABSENT, mapField, parseFilters } from '@longshore/filters';
import type { Snapshot } from '../domain/snapshot.ts';

/** Those that containerd's filters choose, by kind, name, parent and labels. Throws InvalidArgument. */
export function filterSnapshots(snapshots: Snapshot[], filters: readonly string[]): Snapshot[] {
  const filter = parseFilters(filters);
  return filter.matchesAll ? snapshots : snapshots.filter((snapshot) => filter.matches(adaptorOf(snapshot)));
}

/** An empty parent counts as present, so that `parent==""` finds base layers. Source: core/metadata/adaptors.go. */
function adaptorOf({ kind, name, parent, labels }: Snapshot) {
  const fields: Record<string, string> = { kind, name, parent };
  return ([field = '', ...rest]: readonly string[]) => {
    if (field === 'labels') return mapField(labels, rest);
    return Object.hasOwn(fields, field) ? { value: fields[field]!, present: true } : ABSENT;
  };
}
