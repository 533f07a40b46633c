import { type Duration, durationMs } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '@longshore/errors';
import type { Handlers, Logger } from '@longshore/kit';
import { parseSignal } from '@longshore/oci';
import type { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import type { RestartMonitor } from '../restart/restart-monitor.ts';
import { ownStopSignal } from '../stop/own-stop-signal.ts';
import { stopAll } from '../stop/stop-all.ts';
import { type StopContainerOptions, stopContainer } from '../stop/stop-container.ts';

export interface TaskControlOptions extends StopContainerOptions {
  restarts: RestartMonitor;
  log: Logger;
}

const DEFAULT_GRACE_MS = 10_000;

/** `longshore.node.v1.TaskService`: tasks ended in order. */
export function taskControlRpc(options: TaskControlOptions): Handlers<typeof TaskService> {
  const { tasks, containers, restarts, log } = options;
  const signalOf = ownStopSignal(containers);

  return {
    async stop({ containerId, signal, grace, delete: deletes }, call) {
      const request = { id: containerId, signal: signalFrom(signal), graceMs: graceFrom(grace), deletes };
      const { exit, killed } = await stopContainer(options, request, call);
      return { exitStatus: exit.exitStatus, exitedAt: exit.exitedAt, killed };
    },

    async stopAll({ grace }, { signal: abort }) {
      const graceMs = graceFrom(grace);
      // The host is about to end: what is stopped now is started by the next boot.
      restarts.suspend();
      log.info({ graceMs }, 'all tasks are stopped');
      return stopAll(tasks, { graceMs, signalOf, abort, log });
    },
  };
}

function signalFrom(signal: number): number | undefined {
  if (signal === 0) return undefined;
  const known = parseSignal(`${signal}`);
  if (known === undefined) throw invalidArgument(`signal ${signal}`);
  return known;
}

function graceFrom(grace: Duration | undefined): number {
  const graceMs = grace ? durationMs(grace) : DEFAULT_GRACE_MS;
  if (graceMs < 0) throw invalidArgument('grace: must not be negative');
  return graceMs;
}
