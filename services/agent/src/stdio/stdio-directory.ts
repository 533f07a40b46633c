import {
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, isErrno, mknodat } from '@longshore/linux';
import { letGo } from './pipe-holder.ts';

export type StdioName = 'stdin' | 'stdout' | 'stderr';

/** The paths that a shim is given; empty for what there is not. */
export type StdioPaths = Record<StdioName, string>;

/** Names one life of a task. */
export interface TaskLife {
  namespace: string;
  containerId: string;
  incarnation: string;
}

/** What the next agent must know of a process of ours: of a task how its log was asked for, of an exec its id. */
type Note = 'log' | 'exec';

/**
 * The fifos between a shim and this agent, of one process: `<state>/stdio/<namespace>/<id>/<incarnation>`, those of its execs in
 * `execs/<incarnation>` below. They outlive the agent, not the task.
 */
export class StdioDirectory {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  static of(stateDir: string, { namespace, containerId, incarnation }: TaskLife): StdioDirectory {
    return new StdioDirectory(join(rootOf(stateDir), namespace, containerId, incarnation));
  }

  exec(execIncarnation: string): StdioDirectory {
    return new StdioDirectory(join(this.path, 'execs', execIncarnation));
  }

  /** Makes the fifos of these names. Throws what the file system does. */
  make(names: readonly StdioName[], note: Note, text: string): StdioPaths {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.path, note), text, { mode: 0o600 });
    for (const name of names) mknodat(AT_FDCWD, join(this.path, name), constants.S_IFIFO | 0o600, 0);
    return this.paths;
  }

  get paths(): StdioPaths {
    const [stdin = '', stdout = '', stderr = ''] = (['stdin', 'stdout', 'stderr'] as const).map((name) => {
      const path = join(this.path, name);
      return existsSync(path) ? path : '';
    });
    return { stdin, stdout, stderr };
  }

  /** Undefined when the making was cut short. */
  read(note: Note): string | undefined {
    try {
      return readFileSync(join(this.path, note), 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  execs(): StdioDirectory[] {
    return namesIn(join(this.path, 'execs')).map((name) => this.exec(name));
  }

  remove(): void {
    letGo(this.path);
    rmSync(this.path, { recursive: true, force: true });
  }

  /** Removes a task's directory, and those above it that have nothing else. */
  removeOfTask(): void {
    this.remove();
    for (const above of [join(this.path, '..'), join(this.path, '../..')]) removeEmpty(above);
  }
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTEMPTY')) throw error;
  }
}

function rootOf(stateDir: string): string {
  return join(stateDir, 'stdio');
}

/** Of all tasks that an agent has left. */
export function stdioDirectories(stateDir: string): TaskLife[] {
  return containersBelow(rootOf(stateDir)).flatMap(({ namespace, id }) =>
    namesIn(join(rootOf(stateDir), namespace, id)).map((incarnation) => ({
      namespace,
      containerId: id,
      incarnation,
    })),
  );
}

/** Of directories `<root>/<namespace>/<id>`, whose names never begin with a dot. */
export function containersBelow(root: string): { namespace: string; id: string }[] {
  return namesIn(root)
    .filter((namespace) => !namespace.startsWith('.'))
    .flatMap((namespace) => namesIn(join(root, namespace)).map((id) => ({ namespace, id })));
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
