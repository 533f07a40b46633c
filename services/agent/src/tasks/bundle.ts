import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  constants,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '@longshore/errors';
import { isErrno, mknodat, unmountRecursive } from '@longshore/linux';
import { type BootstrapResult, parseBootstrap } from './bootstrap-result.ts';
import type { BundleSpec } from './bundle-spec.ts';

/** The directory that containerd gives its shims; tools look for tasks there. */
const PLUGIN_DIRECTORY = 'io.containerd.runtime.v2.task';
/** Of mknod(2)'s directory argument: relative to the current directory, which an absolute path does not care for. */
const AT_FDCWD = -100;

export interface BundleDirectories {
  /** Run-time files; gone after a reboot. */
  stateDir: string;
  /** What shims keep on disk. */
  rootDir: string;
}

/** Where the bundles are: `<state>/io.containerd.runtime.v2.task/<namespace>/<id>`. */
export function bundlesDirectory({ stateDir }: BundleDirectories): string {
  return join(stateDir, PLUGIN_DIRECTORY);
}

/** Where the shims' work directories are. */
export function workDirectories({ rootDir }: BundleDirectories): string {
  return join(rootDir, PLUGIN_DIRECTORY);
}

/**
 * A task's directory, shared with its shim. Source for names and modes: containerd core/runtime/v2/bundle.go.
 * All files but those below `rootfs` and `work` are small and in memory, so they are written synchronously.
 */
export class Bundle {
  readonly namespace: string;
  readonly id: string;
  readonly path: string;
  readonly workPath: string;

  /** Nothing is read or made: see {@link create}. */
  constructor(directories: BundleDirectories, namespace: string, id: string) {
    this.namespace = namespace;
    this.id = id;
    this.path = join(bundlesDirectory(directories), namespace, id);
    this.workPath = join(workDirectories(directories), namespace, id);
  }

  get logPath(): string {
    return join(this.path, 'log');
  }

  get rootfsPath(): string {
    return join(this.path, 'rootfs');
  }

  /** Makes the directories and all files that the shim needs before it starts; answers the new incarnation. */
  create(spec: BundleSpec, shimBinary: string): string {
    mkdirSync(join(this.path, '..'), { recursive: true, mode: 0o711 });
    mkdirSync(join(this.workPath, '..'), { recursive: true, mode: 0o711 });
    mkdirSync(this.path, { mode: 0o700 });
    if (spec.rootGid) {
      // Root of the user namespace must get through to the rootfs.
      chownSync(this.path, 0, spec.rootGid);
      chmodSync(this.path, 0o710);
    }
    mkdirSync(this.rootfsPath, { mode: 0o711 });
    mkdirSync(this.workPath, { recursive: true, mode: 0o711 });
    symlinkSync(this.workPath, join(this.path, 'work'));
    mknodat(AT_FDCWD, this.logPath, constants.S_IFIFO | 0o700, 0);
    this.#write('config.json', spec.config, 0o666);
    this.#write('shim-binary-path', shimBinary);
    if (spec.isGrouped) this.#write('grouped', '');
    if (spec.cgroup !== undefined) this.#write('cgroup', spec.cgroup);
    const incarnation = randomUUID();
    this.#write('incarnation', incarnation);
    return incarnation;
  }

  /** Undefined for a bundle whose making was cut short. */
  get incarnation(): string | undefined {
    return this.#read('incarnation');
  }

  get shimBinary(): string | undefined {
    return this.#read('shim-binary-path');
  }

  /** True when other containers may live in the same shim. */
  get isGrouped(): boolean {
    return this.#read('grouped') !== undefined;
  }

  /** The container's cgroup, from the hierarchies' roots; undefined when systemd named it. */
  get cgroup(): string | undefined {
    return this.#read('cgroup');
  }

  /** What the shim answered to `start`, or wrote by itself; undefined when it did neither. */
  get bootstrap(): BootstrapResult | undefined {
    const text = this.#read('bootstrap.json') ?? this.#read('address');
    return text ? parseBootstrap(Buffer.from(text)) : undefined;
  }

  writeBootstrap(bootstrap: BootstrapResult): void {
    // Whole or not there: without it the shim could not be found again.
    this.#write('.bootstrap.json', JSON.stringify(bootstrap), 0o666);
    renameSync(join(this.path, '.bootstrap.json'), join(this.path, 'bootstrap.json'));
  }

  /** Pid of the container's first process as the shim wrote it; 0 when it did not get that far, or that is no pid. */
  get initPid(): number {
    const text = this.#read('init.pid')?.trim() ?? '';
    return /^\d{1,9}$/.test(text) ? Number(text) : 0;
  }

  /**
   * Takes the bundle and the work directory away. Never deletes below something mounted: what cannot be unmounted
   * is an error. A bundle that is gone already is fine.
   */
  async remove(): Promise<void> {
    // The shim has unmounted it as a rule; to look for mounts takes long where there are many.
    if (!removedEmpty(this.rootfsPath)) await unmountRecursive(this.rootfsPath);
    if (!removedEmpty(this.rootfsPath)) throw failedPrecondition(`rootfs ${this.rootfsPath} is not empty`);
    const suffix = randomUUID();
    rmSync(hide(this.path, suffix), { recursive: true, force: true });
    const work = hide(this.workPath, suffix);
    // A shim may keep much there, on disk.
    if (!removedEmpty(work)) await rm(work, { recursive: true, force: true });
  }

  #write(name: string, content: string | Uint8Array, mode = 0o600): void {
    writeFileSync(join(this.path, name), content, { mode });
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.path, name), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }
}

/** True when there is no such directory any more; false when it is mounted on, or holds something. */
function removedEmpty(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    if (isErrno(error, 'EBUSY', 'ENOTEMPTY')) return false;
    throw error;
  }
}

/** Renamed first, so that a crash leaves a name that is known as garbage (it begins with a dot). */
function hide(path: string, suffix: string): string {
  const hidden = join(path, '..', `.${suffix}`);
  try {
    renameSync(path, hidden);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return hidden;
}
