import { chmodSync, lchownSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromErrno, type Mount, syncFileSystem } from '@longshore/linux';
import { diskUsage } from '../disk-usage.ts';
import { LayerDirectories } from '../layer-directories.ts';
import type { Layer, Snapshotter, Usage } from '../snapshotter.ts';
import { requireOverlaySupport, supportsIndex } from './overlay-support.ts';

/**
 * Layers as the directories of an overlay file system: `<generation>/fs` is what the layer changes, `<generation>/work`
 * is the kernel's, of active layers only. Source: containerd plugins/snapshots/overlay/overlay.go.
 */
export class OverlayfsSnapshotter implements Snapshotter {
  readonly name = 'overlayfs';
  readonly directories: LayerDirectories;
  /** Of every overlay mount. */
  readonly #options: readonly string[];

  private constructor(directories: LayerDirectories, options: readonly string[]) {
    this.directories = directories;
    this.#options = options;
  }

  /** Throws FailedPrecondition where there can be no overlays. */
  static async open(base: string): Promise<OverlayfsSnapshotter> {
    const directories = await LayerDirectories.open(base);
    await requireOverlaySupport(base);
    // An index would tie an upper directory to its lower ones, which other mounts use as well.
    return new OverlayfsSnapshotter(directories, supportsIndex() ? ['index=off'] : []);
  }

  /** At once: to hand so little to other threads takes longer than to do it. */
  async create({ generation, kind, ancestors }: Layer): Promise<void> {
    const path = this.directories.make(generation);
    try {
      const [parent] = ancestors;
      makeDirectory(join(path, 'fs'), 0o755);
      if (parent !== undefined) copyOwner(this.#fs(parent), join(path, 'fs'));
      if (kind === 'active') makeDirectory(join(path, 'work'), 0o711);
    } catch (error) {
      throw fromErrno(`layer ${generation}`, error);
    }
  }

  mounts({ generation, kind, ancestors }: Layer): Mount[] {
    const [parent, ...others] = ancestors;
    if (parent === undefined) return [bind(this.#fs(generation), kind === 'view' ? 'ro' : 'rw')];
    if (kind === 'view' && others.length === 0) return [bind(this.#fs(parent), 'ro')];
    const own =
      kind === 'active'
        ? [`workdir=${join(this.directories.pathOf(generation), 'work')}`, `upperdir=${this.#fs(generation)}`]
        : [];
    const lower = `lowerdir=${ancestors.map((ancestor) => this.#fs(ancestor)).join(':')}`;
    return [{ type: 'overlay', source: 'overlay', options: [...own, lower, ...this.#options] }];
  }

  upperMounts({ generation, ancestors }: Layer): Mount[] {
    const lower = ancestors.map((ancestor) => this.#fs(ancestor)).join(':');
    const own = [`upperdir=${this.#fs(generation)}`, ...(lower === '' ? [] : [`lowerdir=${lower}`])];
    return [{ type: 'overlay', source: 'overlay', options: [...own, ...this.#options] }];
  }

  /** Once for all files of a layer, which costs a hundredth of what it does to sync each. */
  sync(): Promise<void> {
    return syncFileSystem(this.directories.base);
  }

  async usage(generation: string, signal?: AbortSignal): Promise<Usage> {
    try {
      return await diskUsage(this.#fs(generation), signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw fromErrno(`layer ${generation}`, error);
    }
  }

  #fs(generation: string): string {
    return join(this.directories.pathOf(generation), 'fs');
  }
}

function bind(source: string, access: 'ro' | 'rw'): Mount {
  return { type: 'bind', source, options: [access, 'rbind'] };
}

/** The mode is not subject to the umask. */
function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, mode);
  if ((mode & process.umask()) !== 0) chmodSync(path, mode);
}

/** The upper directory is what a container sees as the root directory. */
function copyOwner(from: string, to: string): void {
  const { uid, gid } = lstatSync(from);
  const { uid: ownUid, gid: ownGid } = lstatSync(to);
  if (uid !== ownUid || gid !== ownGid) lchownSync(to, uid, gid);
}
