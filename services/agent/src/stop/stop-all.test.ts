import { createLogger } from '@longshore/kit';
import { expect, it } from 'vitest';
import type { Task } from '../tasks/task.ts';
import { stopAll } from './stop-all.ts';
import { SIGTERM } from './stop-task.ts';

it('ends the tasks too that somebody makes meanwhile', async () => {
  const running = new Set<Task>();
  /** A task that ends by the first signal. */
  const make = (id: string, onEnd: () => void) => {
    const ended = Promise.withResolvers<object>();
    const call = async (method: string) => {
      if (method !== 'kill') return method === 'wait' ? ended.promise : {};
      onEnd();
      running.delete(task);
      ended.resolve({ exitStatus: 0 });
      return {};
    };
    const task = { namespace: 'default', id, record: { pid: 1 }, call } as unknown as Task;
    running.add(task);
  };
  make('first', () => make('late', () => undefined));
  const options = {
    graceMs: 60_000,
    signalOf: async () => SIGTERM,
    abort: new AbortController().signal,
    log: createLogger('test', 'silent'),
  };
  const stopped = await stopAll({ running: () => [...running] }, options);
  expect(stopped).toEqual({ stopped: 2, killed: 0, failed: [] });
  expect(running.size).toBe(0);
});
