import type { Mount } from '@longshore/linux';
import type { Labels } from '@longshore/oci';
import type { LayerStore } from './layer-store.ts';

/** A snapshot on disk, as it was made: to be written to, or to be read only. */
export interface Layer {
  /** Names it on this node. */
  generation: string;
  kind: 'active' | 'view';
  /** Generations of all its ancestors, nearest first. */
  ancestors: readonly string[];
  /** Those of its snapshot now. */
  labels: Labels;
}

export interface NewLayer extends Layer {
  /** Its snapshot's: they identify nothing here, but a snapshotter that others look into may show them. */
  namespace: string;
  key: string;
}

/** What becomes of an active layer. */
export interface LayerCommit {
  generation: string;
  namespace: string;
  /** The snapshot's from now on, as in {@link NewLayer}. */
  name: string;
  labels: Labels;
  /** Generation of the parent that it gets and did not have; only where it can `rebase`. */
  newParent: string | undefined;
}

/** What a layer takes of its own: nothing of its ancestors. */
export interface Usage {
  sizeBytes: bigint;
  inodes: bigint;
}

/**
 * What became of a layer that was asked for. `found`: the snapshotter had, or has got by itself, what the label
 * `containerd.io/snapshot.ref` names; the layer is committed, with these labels.
 */
export type Made = { kind: 'made'; mounts: readonly Mount[] } | { kind: 'found'; labels: Labels };

/**
 * One way to keep layers and to make a file system of a chain of them. It knows no records and no leases: those are
 * the catalogue's. What it cannot do, e.g. honour a label, it refuses; it never does less without a word.
 */
export interface Snapshotter {
  /** What clients call it, e.g. `overlayfs`. */
  readonly name: string;
  /** What clients ask for by `introspection.v1`, e.g. `rebase`. */
  readonly capabilities: readonly string[];
  /** Told to clients likewise. */
  readonly exports: Readonly<Record<string, string>>;
  readonly directories: LayerStore;
  /**
   * Makes the layer, complete: after this it can be mounted. Throws NotFound when an ancestor is not on this node. After
   * any error it is to be discarded.
   */
  create(layer: NewLayer, signal?: AbortSignal): Promise<Made>;
  /** How to mount it; the same answer every time. The directories are not looked at. */
  mounts(layer: Layer): readonly Mount[] | Promise<readonly Mount[]>;
  /**
   * How to write an active layer whose parent comes with its commit, with those of its ancestors that are known by now:
   * deletions are recorded, not done. Absent where a layer needs its parent's files.
   */
  upperMounts?(layer: Layer): Mount[];
  /** Measures a layer, which others may be writing to. */
  usage(generation: string, signal?: AbortSignal): Promise<Usage>;
  /** Absent where a commit changes nothing. Safe to repeat. */
  commit?(commit: LayerCommit, signal?: AbortSignal): Promise<void>;
  /** Absent where labels are nothing to it later on. `mask` of `labels` and `labels.<key>`; empty for all. */
  relabel?(generation: string, labels: Labels, mask: readonly string[]): Promise<void>;
  /** Frees what it kept of removed layers, beyond its store. Absent where there is no such thing. */
  cleanUp?(signal?: AbortSignal): Promise<void>;
  close?(): void;
}
