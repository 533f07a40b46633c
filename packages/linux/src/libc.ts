import { createRequire } from 'node:module';
import { SystemCallError } from './errno.ts';

type Koffi = typeof import('koffi');
type Library = ReturnType<Koffi['load']>;

/** A file name or path: a string is sent as UTF-8, bytes as they are, since Linux names need not be UTF-8. */
export type PathLike = string | Uint8Array;

let koffi: Koffi | undefined;
let library: Library | undefined;

/** Loaded by the first call, because it costs some 6 MB resident and 10 ms, which not every importer needs. */
function loadKoffi(): Koffi {
  koffi ??= createRequire(import.meta.url)('koffi') as Koffi;
  return koffi;
}

function loadLibc(): Library {
  library ??= loadKoffi().load(null);
  return library;
}

/** A C function of libc by its prototype, looked up when first called; -1 becomes a {@link SystemCallError} in {@link check}. */
export function declare<Arguments extends unknown[]>(prototype: string): (...args: Arguments) => number {
  let bound: ((...args: Arguments) => number) | undefined;
  return (...args) => {
    bound ??= loadLibc().func(prototype);
    return bound(...args);
  };
}

/** As {@link declare}, for calls that may block long: they run on libuv's thread pool and reject by themselves. */
export function declareAsync<Arguments extends unknown[]>(
  prototype: string,
): (call: CallName, ...args: Arguments) => Promise<number> {
  let bound: ReturnType<Library['func']> | undefined;
  return ({ syscall, path, destination }, ...args) => {
    bound ??= loadLibc().func(prototype);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    bound.async(...args, (error: Error | null, result: number) => {
      if (error) return reject(error);
      // koffi hands the errno of the pool's thread to this callback's thread.
      if (result === -1) return reject(lastError(syscall, path, destination));
      resolve(result);
    });
    return promise;
  };
}

/** What an error message says about a call. */
export interface CallName {
  syscall: string;
  path?: PathLike | undefined;
  destination?: PathLike | undefined;
}

/** Passes a call's result on, or throws the error that `errno` tells of. Nothing may be called in between. */
export function check(result: number, syscall: string, path?: PathLike, destination?: PathLike): number {
  if (result === -1) throw lastError(syscall, path, destination);
  return result;
}

/**
 * NUL-terminated bytes for a `const void *` parameter.
 * Throws EINVAL when the value holds a NUL itself: C would silently take a shorter name.
 */
export function cString(value: PathLike): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  if (bytes.includes(0)) throw new SystemCallError('EINVAL', 'name with a NUL byte', describePath(value));
  const terminated = Buffer.allocUnsafe(bytes.length + 1);
  terminated.set(bytes);
  terminated[bytes.length] = 0;
  return terminated;
}

function lastError(syscall: string, path?: PathLike, destination?: PathLike): SystemCallError {
  return SystemCallError.fromErrno(
    loadKoffi().errno(),
    syscall,
    describePath(path),
    describePath(destination),
  );
}

function describePath(path: PathLike | undefined): string | undefined {
  if (path === undefined || typeof path === 'string') return path;
  return Buffer.from(path).toString();
}
