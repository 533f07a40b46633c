import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { notFound } from '@longshore/errors';
import { fromErrno, type Mount } from '@longshore/linux';
import { diskUsage } from '../disk-usage.ts';
import { LayerDirectories } from '../layer-directories.ts';
import { limitLayer } from '../size-limit.ts';
import type { Layer, Made, NewLayer, Snapshotter, Usage } from '../snapshotter.ts';
import { copyTree } from './copy-tree.ts';

/**
 * Layers as whole trees, `<generation>/fs`: a new one begins as a copy of its parent. For file systems on which no overlay
 * can be written; where blocks can be shared, as on Btrfs and XFS, a copy takes no room.
 * Source: containerd plugins/snapshots/native/native.go.
 */
export class NativeSnapshotter implements Snapshotter {
  readonly name = 'native';
  readonly capabilities: readonly string[] = [];
  readonly exports: Readonly<Record<string, string>>;
  readonly directories: LayerDirectories;

  private constructor(directories: LayerDirectories) {
    this.directories = directories;
    this.exports = { root: directories.base };
  }

  static async open(base: string): Promise<NativeSnapshotter> {
    return new NativeSnapshotter(await LayerDirectories.open(base));
  }

  /** A view shows its parent, which nobody writes to any more, and copies nothing. */
  async create(layer: NewLayer, signal?: AbortSignal): Promise<Made> {
    const { generation, kind, ancestors, labels } = layer;
    const [parent] = ancestors;
    if (parent !== undefined && !existsSync(this.#fs(parent))) throw notFound(`layer ${parent}`);
    const path = this.directories.make(generation);
    const fs = this.#fs(generation);
    limitLayer(path, generation, labels);
    try {
      mkdirSync(fs, 0o755);
      chmodSync(fs, 0o755);
    } catch (error) {
      throw fromErrno(`layer ${generation}`, error);
    }
    if (kind === 'active' && parent !== undefined) await copyTree(this.#fs(parent), fs, signal);
    return { kind: 'made', mounts: this.mounts(layer) };
  }

  mounts({ generation, kind, ancestors: [parent] }: Layer): Mount[] {
    const isOwn = kind === 'active' || parent === undefined;
    const source = this.#fs(isOwn ? generation : parent);
    return [{ type: 'bind', source, options: ['rbind', kind === 'view' ? 'ro' : 'rw'] }];
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
