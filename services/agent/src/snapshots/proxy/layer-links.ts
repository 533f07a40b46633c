import { lstatSync, readdirSync, readlinkSync, renameSync, symlinkSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { notFound } from '@longshore/errors';
import { fromErrno, isErrno } from '@longshore/linux';
import { GENERATION, QUARANTINE, TRASH } from '../layer-directories.ts';
import type { LayerStore } from '../layer-store.ts';

/** What a layer is called in the snapshotter that has it. */
export interface Backed {
  /** On whose behalf it was made. */
  namespace: string;
  name: string;
}

/** Never in a namespace. */
const SEPARATOR = ':';

/**
 * Which layer of this node is which snapshot of another process: `<base>/<generation>` is a link to its name there. It is
 * made before the snapshot, and goes after it.
 */
export class LayerLinks implements LayerStore {
  readonly base: string;
  readonly #remove: (backed: Backed) => Promise<void>;
  readonly #purging = new Map<string, Promise<void>>();
  /** The last piece of work on each name that several layers may have. */
  readonly #turns = new Map<string, Promise<unknown>>();

  private constructor(base: string, remove: (backed: Backed) => Promise<void>) {
    this.base = base;
    this.#remove = remove;
  }

  /** `remove` deletes a snapshot in the other process; one that is not there is deleted. */
  static async open(base: string, remove: (backed: Backed) => Promise<void>): Promise<LayerLinks> {
    for (const path of [base, join(base, TRASH), join(base, QUARANTINE)]) {
      await mkdir(path, { recursive: true, mode: 0o700 });
    }
    return new LayerLinks(base, remove);
  }

  /** Throws NotFound. */
  get(generation: string): Backed {
    const backed = read(join(this.base, generation));
    if (!backed) throw notFound(`layer ${generation}`);
    return backed;
  }

  /** Says what a layer is, or is from now on. */
  set(generation: string, { namespace, name }: Backed): void {
    const temporary = join(this.base, `.new-${generation}`);
    try {
      symlinkSync(`${namespace}${SEPARATOR}${name}`, temporary);
      renameSync(temporary, join(this.base, generation));
    } catch (error) {
      throw fromErrno(`layer ${generation}`, error);
    }
  }

  /** Work during which what has this name there is not removed. */
  exclusively<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve();
    const done = before.then(work, work);
    const turn = done
      .catch(() => undefined)
      .then(() => {
        if (this.#turns.get(name) === turn) this.#turns.delete(name);
      });
    this.#turns.set(name, turn);
    return done;
  }

  async list(): Promise<string[]> {
    return (await readdir(this.base)).filter((name) => GENERATION.test(name));
  }

  discard(generation: string): void {
    try {
      renameSync(join(this.base, generation), join(this.base, TRASH, generation));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw fromErrno(`layer ${generation}`, error);
    }
  }

  purge(generation: string): Promise<void> {
    const running = this.#purging.get(generation);
    if (running) return running;
    const purging = this.#purge(generation).finally(() => this.#purging.delete(generation));
    this.#purging.set(generation, purging);
    return purging;
  }

  async purgeAll(): Promise<void> {
    for (const generation of await readdir(join(this.base, TRASH))) await this.purge(generation);
  }

  isGone(generation: string): boolean {
    return [this.base, join(this.base, TRASH)].every((directory) => !isThere(join(directory, generation)));
  }

  async quarantine(generation: string): Promise<void> {
    await rename(join(this.base, generation), join(this.base, QUARANTINE, generation));
  }

  quarantined(): Promise<string[]> {
    return readdir(join(this.base, QUARANTINE));
  }

  async #purge(generation: string): Promise<void> {
    const path = join(this.base, TRASH, generation);
    const backed = read(path);
    if (!backed) return;
    await this.exclusively(backed.name, async () => {
      if (!this.#hasOther(path, backed)) await this.#remove(backed);
    });
    await rm(path, { force: true });
  }

  /** What was found there may be the same snapshot for layers of several namespaces. */
  #hasOther(path: string, { name }: Backed): boolean {
    const directories = [this.base, join(this.base, QUARANTINE)];
    const links = directories.flatMap((directory) =>
      readdirSync(directory).map((entry) => join(directory, entry)),
    );
    return links.some((link) => link !== path && read(link)?.name === name);
  }
}

/** Undefined for what is no link of a layer. */
function read(path: string): Backed | undefined {
  try {
    const target = readlinkSync(path);
    const at = target.indexOf(SEPARATOR);
    return { namespace: target.slice(0, at), name: target.slice(at + 1) };
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EINVAL')) return undefined;
    throw error;
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
