import { accessSync, constants } from 'node:fs';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { LongshoreError } from '@longshore/errors';

const EXPECTED =
  'correct runtime name should be either format like `io.containerd.runc.v2` or a full path to the binary';

/**
 * Finds the shim binary of a runtime name: for `io.containerd.runc.v2` it is `containerd-shim-runc-v2`, on PATH or
 * beside our own executable; an absolute path is taken as it is.
 * Source: containerd core/runtime/v2/shim_manager.go, pkg/shim/util.go.
 */
export class RuntimeBinaries {
  readonly #searchPath: string;
  readonly #found = new Map<string, string>();

  /** `searchPath` is a PATH: directories, colon-separated. */
  constructor(searchPath: string) {
    this.#searchPath = searchPath;
  }

  /** Fails with `Unknown`, as containerd does; the words are its own. */
  resolve(runtime: string): string {
    const known = this.#found.get(runtime);
    if (known && isExecutable(known)) return known;
    const binary = this.#look(runtime);
    this.#found.set(runtime, binary);
    return binary;
  }

  #look(runtime: string): string {
    if (runtime === '') throw unknown('no runtime name');
    if (isAbsolute(runtime)) {
      if (isExecutable(runtime)) return runtime;
      throw unknown(`invalid custom binary path: stat ${runtime}: no such file or directory`);
    }
    const name = binaryName(runtime);
    if (runtime.includes('/') || !name) throw unknown(`invalid runtime name ${runtime}, ${EXPECTED}`);
    for (const directory of [...this.#searchPath.split(delimiter), dirname(process.execPath)]) {
      const candidate = join(directory, name);
      if (directory !== '' && isExecutable(candidate)) return candidate;
    }
    throw unknown(`runtime "${runtime}" binary not installed "${name}": file does not exist`);
  }
}

/** The last two parts of a dotted name make the binary's; undefined for a name that has not two. */
export function binaryName(runtime: string): string | undefined {
  const parts = runtime.split('.');
  if (parts.length < 2 || parts[0] === '') return undefined;
  return `containerd-shim-${parts.at(-2)}-${parts.at(-1)}`;
}

function unknown(message: string): LongshoreError {
  return new LongshoreError('Unknown', message);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for running: the same to who looks for it.
    return false;
  }
}
