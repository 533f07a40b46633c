import { invalidArgument } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { type Labels, maskMap, parseIdentifier, validateLabels, withoutEmptyLabels } from '@longshore/oci';

export interface Namespace {
  readonly scope: Scope;
  readonly revision: bigint;
  readonly labels: Labels;
}

export function validateNewNamespace(name: string, labels: Labels): Labels {
  parseIdentifier(name);
  validateLabels(labels);
  return withoutEmptyLabels(labels);
}

/**
 * Labels after an update: only `labels.<key>` may be in the mask, an empty one replaces them all.
 * Source: containerd plugins/services/namespaces/local.go.
 */
export function updateNamespaceLabels(stored: Labels, requested: Labels, mask: readonly string[]): Labels {
  const bad = mask.find((path) => !path.startsWith('labels.'));
  if (bad !== undefined) throw invalidArgument(`cannot update ${JSON.stringify(bad)} field`);
  const labels = maskMap('labels', stored, requested, mask.length === 0 ? ['labels'] : mask);
  validateLabels(labels);
  return withoutEmptyLabels(labels);
}

/** How containerd names what is left in a namespace that cannot be deleted; other kinds do not keep it. */
const LEFT_BEHIND: Readonly<Record<string, string>> = {
  image: 'images',
  content: 'blobs',
  container: 'containers',
};

/** `kinds` with `key` prefixes are those of the collection contract; snapshots are told by snapshotter. */
export function describeRemains(remains: readonly { kind: string; group: string }[]): string[] {
  const order = ['image', 'content', 'container', 'snapshot'];
  return remains
    .filter(({ kind }) => order.includes(kind))
    .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
    .map(({ kind, group }) => LEFT_BEHIND[kind] ?? `snapshots on ${JSON.stringify(group)} snapshotter`);
}
