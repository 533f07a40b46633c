import { failedPrecondition } from '@longshore/errors';
import { encodeSpec, type ProcessSpec, type ResourcesSpec } from '@longshore/oci/runtime-spec';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { CallOptions } from '@longshore/rpc';
import type { Io } from '../io/io.ts';
import { type ExecOptions, execIn } from './exec-in.ts';
import { type ExitStatus, exitStatusFromProto } from './exit-status.ts';
import { type LoadProcessOptions, loadProcess } from './load-process.ts';
import { type DeleteProcessOptions, Process, type ProcessParts } from './process.ts';
import { type ProcessInTask, processInTaskFromProto } from './process-in-task.ts';
import { type TaskMetrics, taskMetricsFromProto } from './task-metrics.ts';

/**
 * The running side of a container: its first process, and those that were started beside it. States: created → running → stopped, and
 * running ↔ paused. It outlives the client; `await using` ends and removes it.
 */
export class Task extends Process {
  readonly #begin: (() => void) | undefined;

  /** `onStarted`: what this side's ends of its streams wait for. */
  constructor(parts: Omit<ProcessParts, 'execId'>, onStarted?: () => void) {
    super({ ...parts, execId: '' });
    this.#begin = onStarted;
  }

  override async start(options: CallOptions = {}): Promise<void> {
    const { pid } = await this.tasks.start(this.ids, options);
    this.currentPid = pid;
    this.#begin?.();
  }

  /** Throws FailedPrecondition for one that has not ended. */
  override async delete({ kill = false, ...options }: DeleteProcessOptions = {}): Promise<ExitStatus> {
    const { state } = await this.status(options);
    if (kill && state !== 'stopped') {
      if (state === 'paused') await this.resume(options);
      await this.end(options, true);
    } else if (state !== 'stopped' && state !== 'unknown') {
      throw failedPrecondition(`${this.name} must be stopped before deletion, and is ${state}`);
    }
    await this.outputTaken(options.signal);
    const answer = await this.tasks.delete({ containerId: this.containerId }, options);
    this.io?.close();
    return exitStatusFromProto(answer);
  }

  /**
   * A further process, made and not started. `process` stands alone: what it has in common with the container's own it has to say, as
   * `container.processSpec` helps to.
   */
  exec(id: string, process: ProcessSpec, io: Io, options: ExecOptions = {}): Promise<Process> {
    const { connection, containerId } = this;
    return execIn({ connection, containerId, id, process, io }, options);
  }

  /** A further process that somebody has made. Throws NotFound. */
  process(id: string, options: LoadProcessOptions = {}): Promise<Process> {
    return loadProcess(this.connection, this.containerId, id, options);
  }

  /** Freezes all of its processes. */
  async pause(options?: CallOptions): Promise<void> {
    await this.tasks.pause({ containerId: this.containerId }, options);
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.tasks.resume({ containerId: this.containerId }, options);
  }

  /** Changes its limits; what is not given stays. */
  async update(resources: ResourcesSpec, options?: CallOptions): Promise<void> {
    const value = encodeSpec(resources);
    const { containerId } = this;
    await this.tasks.update(
      { containerId, resources: { typeUrl: JsonTypeUrl.LinuxResources, value } },
      options,
    );
  }

  /** Its processes as the node sees them. */
  async pids(options?: CallOptions): Promise<ProcessInTask[]> {
    const { processes } = await this.tasks.listPids({ containerId: this.containerId }, options);
    return processes.map(processInTaskFromProto);
  }

  async metrics(options?: CallOptions): Promise<TaskMetrics> {
    const { containerId } = this;
    const { metrics } = await this.tasks.metrics({ filters: [`id==${containerId}`] }, options);
    return taskMetricsFromProto(metrics, this.name);
  }
}
