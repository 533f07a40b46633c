import type { Labels } from '@longshore/oci';

/** Names the committed snapshot that a new one is to become. Source: containerd core/snapshots/snapshotter.go. */
const SNAPSHOT_REF = 'containerd.io/snapshot.ref';
/** Of labels that are meant for snapshotters. Source: as above. */
const INHERITED_PREFIX = 'containerd.io/snapshot/';

/** Undefined without one. */
export function snapshotRef(labels: Labels): string | undefined {
  return labels[SNAPSHOT_REF] || undefined;
}

/** Whether a snapshotter outside of this process gets to see a label. */
export function isInherited(label: string): boolean {
  return label === SNAPSHOT_REF || label.startsWith(INHERITED_PREFIX);
}

export function inheritedLabels(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([label]) => isInherited(label)));
}
