import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fromErrno, isErrno } from '@longshore/linux';
import type { LayerStore } from './layer-store.ts';
import { removedSmall } from './remove-small.ts';

/** Short, because the paths of a whole chain must fit into one page of mount options. */
const GENERATION_BYTES = 8;
export const GENERATION = /^[0-9a-f]{16}$/;

/** Beside the layers, hence on the same file system: a layer goes there by renaming. */
export const TRASH = '.trash';
export const QUARANTINE = '.quarantine';

/** A name that no layer of this node has had or will have. */
export function newGeneration(): string {
  return randomBytes(GENERATION_BYTES).toString('hex');
}

/** The directories of one snapshotter's layers: `<base>/<generation>`. */
export class LayerDirectories implements LayerStore {
  readonly base: string;
  readonly #purging = new Map<string, Promise<void>>();

  private constructor(base: string) {
    this.base = base;
  }

  static async open(base: string): Promise<LayerDirectories> {
    for (const path of [base, join(base, TRASH), join(base, QUARANTINE)]) {
      await mkdir(path, { recursive: true, mode: 0o700 });
    }
    return new LayerDirectories(base);
  }

  pathOf(generation: string): string {
    return join(this.base, generation);
  }

  /** Makes a layer's own, empty directory. Throws AlreadyExists. */
  make(generation: string): string {
    const path = this.pathOf(generation);
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      throw fromErrno(`layer ${generation}`, error);
    }
    return path;
  }

  /** Generations that have a directory; other names are none of ours. */
  async list(): Promise<string[]> {
    return (await readdir(this.base)).filter((name) => GENERATION.test(name));
  }

  /** Takes a layer out of its place; what is not there is out of it already. Follow with {@link purge}. */
  discard(generation: string): void {
    try {
      renameSync(this.pathOf(generation), join(this.base, TRASH, generation));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw fromErrno(`layer ${generation}`, error);
    }
  }

  /** Deletes a discarded layer. Safe to repeat, also at the same time. */
  purge(generation: string): Promise<void> {
    const running = this.#purging.get(generation);
    if (running) return running;
    const purging = remove(join(this.base, TRASH, generation))
      .catch((error) => {
        throw fromErrno(`layer ${generation}`, error);
      })
      .finally(() => this.#purging.delete(generation));
    this.#purging.set(generation, purging);
    return purging;
  }

  /** Deletes what a process had discarded that was killed before it had deleted it. */
  async purgeAll(): Promise<void> {
    for (const generation of await readdir(join(this.base, TRASH))) await this.purge(generation);
  }

  /** Whether nothing of a layer is left. */
  isGone(generation: string): boolean {
    return !existsSync(this.pathOf(generation)) && !existsSync(join(this.base, TRASH, generation));
  }

  /** Puts a layer aside, whole, where nothing mounts or deletes it: an operator decides. */
  async quarantine(generation: string): Promise<void> {
    await rename(this.pathOf(generation), join(this.base, QUARANTINE, generation));
  }

  quarantined(): Promise<string[]> {
    return readdir(join(this.base, QUARANTINE));
  }
}

/** Whoever has just discarded it does not wait for its deletion. */
async function remove(path: string): Promise<void> {
  await setImmediate();
  if (removedSmall(path)) return;
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isErrno(error, 'ENAMETOOLONG')) throw error;
    // What is nested deeper than a path can name: it goes from directory to directory.
    await promisify(execFile)('rm', ['-rf', '--', path]);
  }
}
