import { failedPrecondition, unavailable } from '@longshore/errors';
import type { Call, Handlers } from '@longshore/kit';
import type { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { attached } from '../stdio/attach.ts';
import { readLog } from '../stdio/log-reader.ts';
import type { LogReaders } from '../stdio/log-readers.ts';
import type { RemoteProcesses } from '../stdio/remote-processes.ts';
import type { SnapshotUsersOptions } from '../stdio/snapshot-users.ts';
import { exitToProto, logQueryFromProto, outputToProto } from './convert-stdio.ts';
import { startOf, takeAttachInput, takeExecInput } from './stdio-input.ts';

export interface StdioRpcOptions extends SnapshotUsersOptions {
  /** This node's id. */
  node: string;
  processes: RemoteProcesses;
  readers: LogReaders;
  /** Ends calls that go on for as long as their process. */
  stopping: AbortSignal;
}

/** `longshore.node.v1.StdioService`: processes for callers who share no file system with this node. */
export function stdioRpc(options: StdioRpcOptions): Handlers<typeof StdioService> {
  const { node, processes, readers, stopping } = options;

  /** What `produce` gives while its caller is there and this agent goes on. */
  async function* whileServed<T>(
    call: Call,
    produce: (signal: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    try {
      yield* produce(AbortSignal.any([call.signal, stopping]));
    } catch (error) {
      if (stopping.aborted) throw unavailable('agent is stopping', { cause: error });
      throw error;
    }
  }

  return {
    async create({ containerId, terminal, stdin, options, limits }, call) {
      const { fileBytes = 0n, files = 0 } = limits ?? {};
      const log = { fileBytes: Number(fileBytes), files };
      const wanted = { containerId, terminal, stdin, options, limits: log };
      const { record } = await processes.create(wanted, call);
      return { node, pid: record.pid };
    },

    attach: (requests, call) =>
      whileServed(call, async function* (served) {
        const { start, inputs } = await startOf(requests);
        const attachment = await processes.attach(start.containerId, call);
        using _reader = readers.enter(call.namespace, start.containerId);
        yield { message: { case: 'attached' as const, value: {} } };
        const { task, output } = attachment;
        if (start.stdin && !output.stdin) throw failedPrecondition(`task ${task.id}: has no standard input`);
        const detached = new AbortController();
        const signal = AbortSignal.any([served, detached.signal]);
        void takeAttachInput({ inputs, start, task, output, detach: () => detached.abort(), log: call.log });
        try {
          for await (const next of attached(attachment, start.logs, signal)) {
            const values = Array.isArray(next) ? next.map(outputToProto) : [];
            for (const value of values) yield { message: { case: 'output' as const, value } };
            if (!Array.isArray(next)) yield { message: { case: 'exit' as const, value: exitToProto(next) } };
          }
        } catch (error) {
          if (!detached.signal.aborted) throw error;
        }
      }),

    exec: (requests, call) =>
      whileServed(call, async function* (signal) {
        const { start, inputs } = await startOf(requests);
        const exec = await processes.exec(start, call);
        try {
          yield { message: { case: 'started' as const, value: { execId: exec.id, pid: exec.pid } } };
          if (start.detached) return;
          void takeExecInput({ inputs, start, exec, log: call.log });
          for await (const { stream, data } of exec.outputs(signal)) {
            const timeNs = BigInt(Date.now()) * 1_000_000n;
            const value = outputToProto({ stream, data, timeNs, skippedBytes: 0 });
            yield { message: { case: 'output' as const, value } };
          }
          const value = exitToProto(await exec.exitUnless(signal));
          await exec.end();
          yield { message: { case: 'exit' as const, value } };
        } finally {
          // One whose caller has left is killed; nobody waits for that.
          if (!start.detached) void exec.end();
        }
      }),

    async findUser(request, call) {
      // All that specs are made with, for the few who make one.
      const { userOfSnapshot } = await import('../stdio/snapshot-users.ts');
      return userOfSnapshot(options, request, call);
    },

    logs: (request, call) =>
      whileServed(call, async function* (signal) {
        const log = await processes.log(request.containerId, call);
        using _reader = readers.enter(call.namespace, request.containerId);
        const isOver = () => !log.writer || log.writer.isClosed;
        // One who does not follow has seen all of it only if it was over before.
        const wasOver = isOver();
        for await (const outputs of readLog(log, logQueryFromProto(request), signal)) {
          yield { outputs: outputs.map(outputToProto) };
        }
        if (request.follow ? isOver() : wasOver) yield { ended: true };
      }),
  };
}
