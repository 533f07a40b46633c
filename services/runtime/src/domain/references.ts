import type { Labels } from '@longshore/oci';

const GC_LABEL_PREFIX = 'containerd.io/gc.';

/** Whether a change of labels took away something that kept other records from being collected. */
export function dropsLabelReference(before: Readonly<Labels>, after: Readonly<Labels>): boolean {
  return Object.entries(before).some(
    ([name, value]) => name.startsWith(GC_LABEL_PREFIX) && after[name] !== value,
  );
}

interface Referring {
  labels: Labels;
  snapshotter: string;
  snapshotKey: string;
}

/** Whether a changed container refers to less than before. */
export function dropsReference(before: Referring, after: Referring): boolean {
  if (before.snapshotKey !== '' && before.snapshotKey !== after.snapshotKey) return true;
  return dropsLabelReference(before.labels, after.labels);
}
