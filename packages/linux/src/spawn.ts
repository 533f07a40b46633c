import { SystemCallError } from './errno.ts';
import { check, cString, declare } from './libc.ts';
import { AT_FDCWD, close, OpenFlag, openat } from './open.ts';

/** A program to run in a session of its own, with no signal blocked or ignored. */
export interface Program {
  /** As it is: nothing is searched for. */
  path: string;
  /** What follows its name. */
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  cwd?: string | undefined;
}

/** How a process ended: by itself, or by the signal of this number. */
export type ProcessEnd = { code: number } | { signal: number };

/** More than glibc's `posix_spawn_file_actions_t`, `posix_spawnattr_t` and `sigset_t` have. */
const OPAQUE_BYTES = 512;

/** Source: glibc spawn.h, bits/waitflags.h. */
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const WNOHANG = 1;

type Words = readonly (string | null)[];

const spawnCall = declare<[Buffer, Buffer, Buffer, Buffer, Words, Words]>(
  'int posix_spawn(void *pid, const void *path, const void *actions, const void *attributes, const char **argv, const char **envp)',
);
const initActions = declare<[Buffer]>('int posix_spawn_file_actions_init(void *actions)');
const addDup = declare<[Buffer, number, number]>(
  'int posix_spawn_file_actions_adddup2(void *actions, int from, int to)',
);
const addChdir = declare<[Buffer, Buffer]>(
  'int posix_spawn_file_actions_addchdir_np(void *actions, const void *path)',
);
const destroyActions = declare<[Buffer]>('int posix_spawn_file_actions_destroy(void *actions)');
const initAttributes = declare<[Buffer]>('int posix_spawnattr_init(void *attributes)');
const setFlags = declare<[Buffer, number]>('int posix_spawnattr_setflags(void *attributes, short flags)');
const setDefaults = declare<[Buffer, Buffer]>(
  'int posix_spawnattr_setsigdefault(void *attributes, const void *set)',
);
const fillSet = declare<[Buffer]>('int sigfillset(void *set)');
const pipeCall = declare<[Buffer, number]>('int pipe2(void *ends, int flags)');
const waitCall = declare<[number, Buffer, number]>('int waitpid(int pid, void *status, int options)');

/** The same for every program. */
let attributes: Buffer | undefined;

/** A program that runs, with our ends of three pipes, closed on exec, which are its standard input, output and error. */
export interface Piped {
  pid: number;
  stdin: number;
  stdout: number;
  stderr: number;
}

/**
 * Starts a program, whose end `ended` tells of. Node's own `spawn` copies the page tables of this process and makes it
 * fault its pages in again: 5 ms where it has 200 MB. This does not. Throws a SystemCallError, ENOENT for a program or
 * directory that is not there.
 */
export function spawnPiped(program: Program): Piped {
  const open: number[] = [];
  const pipe = () => {
    const [readFd, writeFd] = makePipe();
    open.push(readFd, writeFd);
    return { readFd, writeFd };
  };
  let ours: number[] = [];
  try {
    const [stdin, stdout, stderr] = [pipe(), pipe(), pipe()];
    const pid = spawn(program, [stdin.readFd, stdout.writeFd, stderr.writeFd]);
    ours = [stdin.writeFd, stdout.readFd, stderr.readFd];
    return { pid, stdin: stdin.writeFd, stdout: stdout.readFd, stderr: stderr.readFd };
  } finally {
    for (const fd of open) if (!ours.includes(fd)) close(fd);
  }
}

/**
 * Starts a program that reads an open file and whose output is read from the pipe that is answered, to be closed; what it
 * says of errors is dropped. Its end {@link endOf} tells. Throws as {@link spawnPiped}.
 */
export function spawnReading(program: Program, stdin: number): { pid: number; stdout: number } {
  const [readFd, writeFd] = makePipe();
  try {
    const nowhere = openat(AT_FDCWD, '/dev/null', OpenFlag.WriteOnly);
    try {
      return { pid: spawn(program, [stdin, writeFd, nowhere]), stdout: readFd };
    } finally {
      close(nowhere);
    }
  } catch (error) {
    close(readFd);
    throw error;
  } finally {
    close(writeFd);
  }
}

/** How a child of this process has ended; undefined while it has not. To be asked until it answers, and not again: its pid is free then. */
export function endOf(pid: number): ProcessEnd | undefined {
  const status = Buffer.alloc(4);
  if (check(waitCall(pid, status, WNOHANG), 'waitpid') === 0) return undefined;
  const word = status.readInt32LE(0);
  // Source: glibc bits/waitstatus.h.
  const signal = word & 0x7f;
  return signal === 0 ? { code: (word >> 8) & 0xff } : { signal };
}

function spawn({ path, args, env, cwd }: Program, stdio: readonly number[]): number {
  const name = cString(path);
  const words = [path, ...args, null];
  const variables = Object.keys(env).filter((key) => env[key] !== undefined);
  const environment = [...variables.map((key) => `${key}=${env[key]}`), null];
  const pid = Buffer.alloc(4);
  const actions = Buffer.alloc(OPAQUE_BYTES);
  requireZero(initActions(actions), path);
  try {
    for (const [to, from] of stdio.entries()) requireZero(addDup(actions, from, to), path);
    if (cwd !== undefined) requireZero(addChdir(actions, cString(cwd)), path);
    attributes ??= makeAttributes(path);
    requireZero(spawnCall(pid, name, actions, attributes, words, environment), path);
  } finally {
    destroyActions(actions);
  }
  return pid.readInt32LE(0);
}

function makePipe(): [readFd: number, writeFd: number] {
  const ends = Buffer.alloc(8);
  check(pipeCall(ends, OpenFlag.CloseOnExec), 'pipe2');
  return [ends.readInt32LE(0), ends.readInt32LE(4)];
}

function makeAttributes(path: string): Buffer {
  const made = Buffer.alloc(OPAQUE_BYTES);
  const all = Buffer.alloc(OPAQUE_BYTES);
  fillSet(all);
  requireZero(initAttributes(made), path);
  // The mask that goes with it is empty as it is.
  requireZero(setFlags(made, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID), path);
  requireZero(setDefaults(made, all), path);
  return made;
}

/** These functions answer the error's number. */
function requireZero(errno: number, path: string): void {
  if (errno !== 0) throw SystemCallError.fromErrno(errno, 'spawn', path);
}
