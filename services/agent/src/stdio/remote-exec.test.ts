import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { LongshoreError } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import type { Task } from '../tasks/task.ts';
import type { TaskContext } from '../tasks/task-context.ts';
import { RemoteExec } from './remote-exec.ts';
import { StdioDirectory } from './stdio-directory.ts';

describe('RemoteExec', () => {
  it("leaves another's exec of its id alone, though the shim does not say whether there is one", async () => {
    const calls: string[] = [];
    const call = async (method: string) => {
      calls.push(method);
      throw new LongshoreError('DeadlineExceeded', 'shim: deadline exceeded');
    };
    const record = { incarnation: 'a' };
    const task = { namespace: 'default', id: 'web', record, adding: new Set(), call } as unknown as Task;
    const journal = { find: () => ({ incarnation: 'a', execIncarnation: 'b', ended: false }) };
    const context = { journal, log: { warn: () => undefined } } as unknown as TaskContext;
    const order = {
      execId: 'named',
      terminal: false,
      stdin: false,
      detached: false,
      detachedLog: '',
      spec: create(AnySchema),
    };
    const directory = new StdioDirectory(`${await scratchDirectory()}/exec`);
    const starting = RemoteExec.start(context, task, order, directory, { namespace: 'default' });
    await expect(starting).rejects.toMatchObject({ kind: 'DeadlineExceeded' });
    expect(calls).toEqual(['state']);
  });
});
