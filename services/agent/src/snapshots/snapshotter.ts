import type { Mount } from '@longshore/linux';
import type { LayerDirectories } from './layer-directories.ts';

/** A snapshot on disk, as it was made: to be written to, or to be read only. */
export interface Layer {
  /** Names its directory. */
  generation: string;
  kind: 'active' | 'view';
  /** Generations of all its ancestors, nearest first. */
  ancestors: readonly string[];
}

/** What a layer takes of its own: nothing of its ancestors. */
export interface Usage {
  sizeBytes: bigint;
  inodes: bigint;
}

/**
 * One way to keep layers on disk and to make a file system of a chain of them. It knows no names, no labels and no
 * namespaces: those are the catalogue's. A commit changes nothing on disk.
 */
export interface Snapshotter {
  /** What clients call it, e.g. `overlayfs`. */
  readonly name: string;
  readonly directories: LayerDirectories;
  /**
   * Makes the layer's directory, complete: after this it can be mounted. Throws NotFound when an ancestor is not on
   * disk. After any error the directory is to be discarded.
   */
  create(layer: Layer): Promise<void>;
  /** How to mount it; the same answer every time. The directories are not looked at. */
  mounts(layer: Layer): Mount[];
  /**
   * How to write an active layer whose parent comes with its commit, with those of its ancestors that are known by now:
   * deletions are recorded, not done. Absent where a layer needs its parent's files.
   */
  upperMounts?(layer: Layer): Mount[];
  /** Resolves when all that was written to its layers so far is on disk. Absent where somebody else sees to that. */
  sync?(): Promise<void>;
  /** Measures a layer, which others may be writing to. */
  usage(generation: string, signal?: AbortSignal): Promise<Usage>;
}
