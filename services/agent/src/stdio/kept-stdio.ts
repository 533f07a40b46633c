import { failedPrecondition, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { exitOf } from '../stop/exit-of.ts';
import type { Task } from '../tasks/task.ts';
import type { ProcessIo, TaskStdio } from '../tasks/task-context.ts';
import type { ProcessRecord } from '../tasks/task-journal.ts';
import type { ProcessExit } from '../tasks/task-report.ts';
import { ContainerLogs } from './container-logs.ts';
import { KeptOutput } from './kept-output.ts';
import { type LogLimits, logLimits } from './log-limits.ts';
import type { ReadableLog } from './log-reader.ts';
import { isKeptLog, KEPT_LOG, parseKeptLog } from './log-uri.ts';
import { LogWriter } from './log-writer.ts';
import { holdOpen } from './pipe-holder.ts';
import { StdioDirectory, type StdioName, stdioDirectories, type TaskLife } from './stdio-directory.ts';

export interface KeptStdioOptions {
  stateDir: string;
  rootDir: string;
  limits: LogLimits;
  /** Whether the container is known to be no more; false when nobody can say. */
  isDeleted(namespace: string, id: string): boolean;
  onDropped(bytes: number): void;
  log: Logger;
}

interface Kept {
  life: TaskLife;
  output: KeptOutput;
  /** How the task's first process ended; once there is a task. Asked for once for all who are attached. */
  exit?: Promise<ProcessExit>;
  /** While the last of a task's output is read. Never rejects. */
  finished?: Promise<void>;
  /** There may be another one of its name by now, which begins with nothing. */
  isContainerDeleted?: boolean;
}

/**
 * The output that this agent keeps: of tasks whose stdout is `longshore://log`. A log belongs to its container: it is one over all
 * of the container's tasks, and goes with its record, at the earliest with its task.
 */
export class KeptStdio implements TaskStdio, Disposable {
  readonly #options: KeptStdioOptions;
  readonly #logs: ContainerLogs;
  /** By `namespace/id`. */
  readonly #kept = new Map<string, Kept>();
  /** Incarnations of the tasks that there are. */
  readonly #live = new Set<string>();
  #isClosed = false;

  constructor(options: KeptStdioOptions) {
    this.#options = options;
    this.#logs = new ContainerLogs(options.rootDir, options.log);
  }

  async resolve(record: ProcessRecord, io: ProcessIo): Promise<ProcessIo> {
    if (!isKeptLog(io.stdout)) return io;
    return record.execId === '' ? this.#make(record, io) : this.#share(record, io);
  }

  forget(record: ProcessRecord): void {
    const key = keyOf(record.namespace, record.containerId);
    const kept = this.#kept.get(key);
    if (record.execId !== '' || kept?.life.incarnation !== record.incarnation) return;
    kept.output.close();
    this.#kept.delete(key);
    this.#removeFifos(record);
  }

  add(task: Task): void {
    const { record, gone } = task;
    const { namespace, containerId } = record;
    this.#live.add(record.incarnation);
    void gone.then(() => this.#finish(record));
    try {
      const kept = this.ofTask(task) ?? this.#reopen(record);
      if (!kept) return;
      kept.exit = exitOf(task);
      // Until then an exec may open the fifos again.
      kept.exit.then(
        () => kept.output.processEnded(),
        () => kept.output.processLost(),
      );
    } catch (error) {
      const subject = { namespace, id: containerId, error: messageOf(error) };
      this.#options.log.error(subject, 'output of task cannot be read');
    }
  }

  /** Undefined when the task's output goes elsewhere. */
  ofTask({ record }: Pick<Task, 'record'>): Kept | undefined {
    return this.#ofLife(record);
  }

  shown({ record }: Task, io: ProcessIo): ProcessIo {
    const kept = this.#ofLife(record);
    if (!kept) return io;
    const directory = this.#directory(kept.life);
    if (!io.stdout.startsWith(`${directory.path}/`)) return io;
    return { ...io, stdin: '', stdout: directory.read('log') ?? KEPT_LOG, stderr: '' };
  }

  /** What a container has written, whether it has a task or not; undefined when nothing was ever kept. */
  logOf(namespace: string, id: string): ReadableLog | undefined {
    const directory = this.#logs.directoryOf(namespace, id);
    return this.#logs.has(namespace, id)
      ? { directory, writer: this.#kept.get(keyOf(namespace, id))?.output.log }
      : undefined;
  }

  /** The directory of a task's fifos. */
  directoryOf({ record }: Task): StdioDirectory {
    return this.#directory(record);
  }

  /**
   * Reads and takes away what tasks that are no more have left, and takes away logs of containers that are no more. Wants all tasks
   * added.
   */
  sweep(): void {
    for (const life of stdioDirectories(this.#options.stateDir)) {
      if (!this.#live.has(life.incarnation)) this.#salvage(life);
    }
    this.#logs.removeGarbage();
    for (const { namespace, id } of this.#logs.containers()) this.containerDeleted(namespace, id);
  }

  /** To be told when a container is no more: its log goes, unless it has a task yet. */
  containerDeleted(namespace: string, id: string): void {
    if (!this.#options.isDeleted(namespace, id)) return;
    const kept = this.#kept.get(keyOf(namespace, id));
    if (kept) kept.isContainerDeleted = true;
    else this.#logs.remove(namespace, id);
  }

  /** Processes go on; their output waits for the next agent. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const { output } of this.#kept.values()) output.close();
  }

  async #make(record: ProcessRecord, io: ProcessIo): Promise<ProcessIo> {
    const { stdin } = parseKeptLog(io.stdout);
    // Of the task before.
    await this.#kept.get(keyOf(record.namespace, record.containerId))?.finished;
    const names: StdioName[] = [
      ...(stdin ? (['stdin'] as const) : []),
      'stdout',
      ...(io.terminal ? [] : (['stderr'] as const)),
    ];
    const directory = this.#directory(record);
    try {
      const paths = directory.make(names, 'log', io.stdout);
      const { namespace, containerId: id } = record;
      holdOpen(directory.path, [paths.stdout, paths.stderr].filter(Boolean), (error) =>
        this.#options.log.warn(
          { namespace, id, error: messageOf(error) },
          'output is not held while the agent is away',
        ),
      );
      this.#open(record, directory);
      return { ...io, ...paths };
    } catch (error) {
      this.#removeFifos(record);
      throw error;
    }
  }

  /** An exec's output goes to the log of its container. */
  #share(record: ProcessRecord, io: ProcessIo): ProcessIo {
    const kept = this.#ofLife(record);
    if (!kept) {
      const { containerId, execId } = record;
      throw failedPrecondition(
        `exec ${JSON.stringify(execId)}: the output of task ${containerId} is not kept`,
      );
    }
    const { stdout, stderr } = this.#directory(kept.life).paths;
    return { ...io, stdin: '', stdout, stderr: io.terminal ? '' : stderr || stdout };
  }

  #reopen(life: TaskLife): Kept | undefined {
    const directory = this.#directory(life);
    return directory.read('log') === undefined ? undefined : this.#open(life, directory);
  }

  #open(life: TaskLife, directory: StdioDirectory): Kept {
    const { namespace, containerId } = life;
    const { limits } = parseKeptLog(directory.read('log') ?? KEPT_LOG);
    const writer = new LogWriter({
      directory: this.#logs.directoryOf(namespace, containerId),
      limits: logLimits(limits, this.#options.limits),
      onDropped: this.#options.onDropped,
      log: this.#options.log,
    });
    const kept: Kept = { life, output: new KeptOutput(directory.paths, writer) };
    this.#kept.set(keyOf(namespace, containerId), kept);
    return kept;
  }

  #ofLife({ namespace, containerId, incarnation }: TaskLife): Kept | undefined {
    const kept = this.#kept.get(keyOf(namespace, containerId));
    return kept?.life.incarnation === incarnation ? kept : undefined;
  }

  /** Of a task that ended while no agent was there. */
  #salvage(life: TaskLife): void {
    const { namespace, containerId: id } = life;
    try {
      if (!this.#kept.has(keyOf(namespace, id))) this.#reopen(life);
    } catch (error) {
      this.#options.log.warn({ namespace, id, error: messageOf(error) }, 'last output of a task is lost');
    }
    this.#finish(life);
  }

  #finish(life: TaskLife): void {
    this.#live.delete(life.incarnation);
    if (this.#isClosed) return;
    const kept = this.#ofLife(life);
    if (kept) kept.finished = this.#finishKept(kept).catch((error) => this.#report(life, error));
    else this.#removeFifos(life);
  }

  async #finishKept(kept: Kept): Promise<void> {
    const { life, output } = kept;
    const { namespace, containerId: id } = life;
    await output.settled();
    output.close();
    if (this.#isClosed) return;
    this.#kept.delete(keyOf(namespace, id));
    this.#removeFifos(life);
    if (kept.isContainerDeleted) this.#logs.remove(namespace, id);
    else this.containerDeleted(namespace, id);
  }

  #removeFifos(life: TaskLife): void {
    try {
      this.#directory(life).removeOfTask();
    } catch (error) {
      this.#report(life, error);
    }
  }

  /** The next agent tries again. */
  #report({ namespace, containerId: id }: TaskLife, error: unknown): void {
    this.#options.log.warn({ namespace, id, error: messageOf(error) }, 'remains of a task stay');
  }

  #directory(life: TaskLife): StdioDirectory {
    return StdioDirectory.of(this.#options.stateDir, life);
  }
}

/** Identifiers contain no slash. */
function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
