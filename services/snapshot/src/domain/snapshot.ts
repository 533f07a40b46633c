import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { isMapPath, type Labels, maskMap, validateLabels, withoutEmptyLabels } from '@longshore/oci';

/** Active ones are written to, views read; only committed ones, which nobody writes to any more, have children. */
export type Kind = 'view' | 'active' | 'committed';

/** What a snapshot's own layer takes on its node's disk. */
export interface Usage {
  sizeBytes: bigint;
  inodes: bigint;
}

/** The record of a snapshot; its files are in a directory on its node. */
export interface Snapshot {
  uid: string;
  scope: Scope;
  snapshotter: string;
  /** The key of an active snapshot or a view, the name of a committed one: they share one space. */
  name: string;
  /** Empty for none. */
  parent: string;
  kind: Kind;
  labels: Labels;
  /** Names the directory on the node. Chosen by the node, kept for life. */
  generation: string;
  /** Nothing until the commit. */
  usage: Usage;
  revision: bigint;
  createdAt: Date;
  updatedAt: Date;
}

/** A snapshot with what it takes to mount it. */
export interface MountableSnapshot extends Snapshot {
  /** Generations of all ancestors, nearest first. */
  ancestors: string[];
}

/** What a node asks for when it has made a directory. */
export interface NewSnapshot {
  snapshotter: string;
  key: string;
  /** Empty for none. */
  parent: string;
  /** `committed` for one that a snapshotter found ready, e.g. in a registry. */
  kind: Kind;
  labels: Labels;
  generation: string;
}

/** The end of an active snapshot's writable life. */
export interface Commit {
  snapshotter: string;
  name: string;
  key: string;
  /** Gives a parent to a snapshot that has none; otherwise of no effect. */
  parent: string;
  labels: Labels;
  usage: Usage;
}

/** A snapshot under its new name. */
export interface Committed {
  snapshot: MountableSnapshot;
  /** With which its key, the former name, is free again. */
  keyRevision: bigint;
}

/** What the rules below need to know of a name that is taken. */
export interface Taken {
  uid: string;
  kind: Kind;
  parent: string;
}

/** Looks a name up in the scope and snapshotter of the request. */
export type Lookup = (name: string) => Taken | undefined;

/** Names the committed snapshot that a new one is to become. Source: containerd core/snapshots/snapshotter.go. */
const SNAPSHOT_REF = 'containerd.io/snapshot.ref';
/** Tells the node of a listed item; nobody may set it. */
export const NODE_LABEL = 'longshore.io/node';

/** The snapshot that would make this new one needless, by its label; undefined without one. */
export function targetOf({ labels }: { labels: Labels }): string | undefined {
  return labels[SNAPSHOT_REF] || undefined;
}

export function targetExists(target: string): Error {
  return alreadyExists(`target snapshot ${JSON.stringify(target)}`);
}

export function missing(name: string): Error {
  return notFound(`snapshot ${name} does not exist`);
}

export function missingParent(parent: string): Error {
  return notFound(`parent snapshot ${parent} does not exist`);
}

export function hasChild(): Error {
  return failedPrecondition('cannot remove snapshot with child');
}

export function requireSnapshotter(snapshotter: string): string {
  if (snapshotter === '') throw invalidArgument('snapshotter argument missing');
  return snapshotter;
}

export function validateNewSnapshot(request: NewSnapshot): NewSnapshot {
  if (request.key === '') throw invalidArgument('snapshot key must not be empty');
  if (request.generation === '') throw invalidArgument('snapshot generation must not be empty');
  return { ...request, labels: checkedLabels(request.labels) };
}

export function validateCommit(request: Commit): Commit {
  if (request.name === '') throw invalidArgument('snapshot name must not be empty');
  return { ...request, labels: checkedLabels(request.labels) };
}

/**
 * Whether a new snapshot may be recorded; answers its parent, if it has one. Checks and messages come in
 * containerd's order. Source: containerd core/metadata/snapshot.go, createSnapshot.
 */
export function checkNewSnapshot(request: NewSnapshot, lookup: Lookup): Taken | undefined {
  const target = targetOf(request);
  if (target && lookup(target)) throw targetExists(target);
  if (lookup(request.key)) throw alreadyExists(`snapshot ${JSON.stringify(request.key)}`);
  if (request.parent === '') return undefined;
  const parent = lookup(request.parent);
  if (!parent) throw missingParent(request.parent);
  if (parent.kind === 'committed') return parent;
  throw invalidArgument(
    `failed to create snapshot: parent ${JSON.stringify(request.parent)} is not committed snapshot`,
  );
}

/** Whether a snapshot may be committed; answers it and its parent-to-be. Source: as above, Commit. */
export function checkCommit(
  { name, key, parent: rebaseOn }: Commit,
  lookup: Lookup,
): { active: Taken; newParent: Taken | undefined } {
  if (lookup(name)) throw alreadyExists(`snapshot ${JSON.stringify(name)}`);
  const active = lookup(key);
  if (!active) throw missing(key);
  const isRebase = active.parent === '' && rebaseOn !== '';
  const newParent = isRebase ? lookup(rebaseOn) : undefined;
  if (isRebase && !newParent) throw missingParent(rebaseOn);
  if (active.kind !== 'active') throw uncommittable(key, `snapshot ${JSON.stringify(key)} is not active`);
  if (newParent && newParent.kind !== 'committed') {
    throw uncommittable(key, `parent ${JSON.stringify(rebaseOn)} is not committed`);
  }
  return { active, newParent };
}

/** Labels after an update by mask; an empty mask replaces them all. Source: as above, Update. */
export function updateLabels(stored: Snapshot, requested: Labels, mask: readonly string[]): Labels {
  const paths = mask.length === 0 ? ['labels'] : mask;
  for (const path of paths) {
    if (isMapPath('labels', path)) continue;
    throw invalidArgument(
      `cannot update ${JSON.stringify(path)} field on snapshot ${JSON.stringify(stored.name)}`,
    );
  }
  return checkedLabels(maskMap('labels', stored.labels, requested, paths));
}

function checkedLabels(labels: Labels): Labels {
  validateLabels(labels);
  if (Object.hasOwn(labels, NODE_LABEL))
    throw invalidArgument(`label ${JSON.stringify(NODE_LABEL)} is reserved`);
  return withoutEmptyLabels(labels);
}

function uncommittable(key: string, reason: string): Error {
  return failedPrecondition(`failed to commit snapshot ${key}: ${reason}`);
}
