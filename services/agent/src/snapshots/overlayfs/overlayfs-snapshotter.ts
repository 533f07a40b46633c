import { chmodSync, lchownSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromErrno, type Mount } from '@longshore/linux';
import { diskUsage } from '../disk-usage.ts';
import { type IdMapping, idMappingOf } from '../id-mapping.ts';
import { LayerDirectories } from '../layer-directories.ts';
import { limitLayer } from '../size-limit.ts';
import type { Layer, Made, NewLayer, Snapshotter, Usage } from '../snapshotter.ts';
import { type OverlaySupport, overlaySupport } from './overlay-support.ts';

/**
 * Layers as the directories of an overlay file system: `<generation>/fs` is what the layer changes, `<generation>/work`
 * is the kernel's, of active layers only. Source: containerd plugins/snapshots/overlay/overlay.go.
 */
export class OverlayfsSnapshotter implements Snapshotter {
  readonly name = 'overlayfs';
  readonly capabilities: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  readonly directories: LayerDirectories;
  readonly #support: OverlaySupport;

  private constructor(directories: LayerDirectories, support: OverlaySupport) {
    this.directories = directories;
    this.exports = { root: directories.base };
    // Without `remap-ids`, clients copy the parent with its owners changed.
    this.capabilities = support.mapsIds ? ['remap-ids', 'rebase'] : ['rebase'];
    this.#support = support;
  }

  /** Throws FailedPrecondition where there can be no overlays. */
  static async open(base: string): Promise<OverlayfsSnapshotter> {
    const directories = await LayerDirectories.open(base);
    return new OverlayfsSnapshotter(directories, await overlaySupport(base));
  }

  /** At once: to hand so little to other threads takes longer than to do it. */
  async create(layer: NewLayer): Promise<Made> {
    const { generation, kind, ancestors, labels } = layer;
    const mapping = idMappingOf(labels);
    const path = this.directories.make(generation);
    limitLayer(path, generation, labels);
    try {
      const [parent] = ancestors;
      const fs = join(path, 'fs');
      makeDirectory(fs, 0o755);
      if (parent !== undefined) copyOwner(this.#fs(parent), fs);
      if (mapping) lchownSync(fs, mapping.rootUid, mapping.rootGid);
      if (kind === 'active') makeDirectory(join(path, 'work'), 0o711);
    } catch (error) {
      throw fromErrno(`layer ${generation}`, error);
    }
    return { kind: 'made', mounts: this.mounts(layer) };
  }

  mounts({ generation, kind, ancestors, labels }: Layer): Mount[] {
    const mapped = this.#support.mapsIds ? mappedOptions(idMappingOf(labels)) : [];
    const [parent, ...others] = ancestors;
    // What is written is owned as it is written, here and in an upper directory: only what lies below is mapped.
    if (parent === undefined) return [bind(this.#fs(generation), [], kind === 'view' ? 'ro' : 'rw')];
    if (kind === 'view' && others.length === 0) return [bind(this.#fs(parent), mapped, 'ro')];
    const own =
      kind === 'active'
        ? [`workdir=${join(this.directories.pathOf(generation), 'work')}`, `upperdir=${this.#fs(generation)}`]
        : [];
    const lower = `lowerdir=${ancestors.map((ancestor) => this.#fs(ancestor)).join(':')}`;
    const options = [...mapped, ...own, lower, ...this.#support.options];
    return [{ type: 'overlay', source: 'overlay', options }];
  }

  upperMounts({ generation, ancestors }: Layer): Mount[] {
    const lower = ancestors.map((ancestor) => this.#fs(ancestor)).join(':');
    const own = [`upperdir=${this.#fs(generation)}`, ...(lower === '' ? [] : [`lowerdir=${lower}`])];
    return [{ type: 'overlay', source: 'overlay', options: [...own, ...this.#support.options] }];
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

function bind(source: string, mapped: readonly string[], access: 'ro' | 'rw'): Mount {
  return { type: 'bind', source, options: [...mapped, access, 'rbind'] };
}

/** Whoever mounts it maps the owners of the lower directories. */
function mappedOptions(mapping: IdMapping | undefined): string[] {
  return mapping ? [`uidmap=${mapping.uids}`, `gidmap=${mapping.gids}`] : [];
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
