import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import type { Task } from '../tasks/task.ts';
import type { ProcessRecord } from '../tasks/task-journal.ts';
import { KeptStdio } from './kept-stdio.ts';
import { KEPT_LOG } from './log-uri.ts';

const SOON = { timeout: 10_000, interval: 10 };
const NAMESPACE = 'default';

let directory: string;
let stdio: KeptStdio;
let isDeleted: boolean;

beforeEach(async () => {
  directory = await scratchDirectory();
  isDeleted = false;
  stdio = new KeptStdio({
    stateDir: directory,
    rootDir: directory,
    limits: { fileBytes: 1024 ** 2, files: 2 },
    isDeleted: () => isDeleted,
    onDropped: () => undefined,
    log: createLogger('test', 'silent'),
  });
  onTestFinished(() => stdio[Symbol.dispose]());
});

/** A task whose process has ended; `end` takes it away. */
async function makeTask(incarnation: string) {
  const record = { namespace: NAMESPACE, containerId: 'web', execId: '', incarnation } as ProcessRecord;
  await stdio.resolve(record, { terminal: false, stdin: '', stdout: KEPT_LOG, stderr: '' });
  const { promise: gone, resolve } = Promise.withResolvers<object>();
  stdio.add({ record, gone, call: async () => ({ exitStatus: 0 }) } as unknown as Task);
  return { end: () => resolve({ exitStatus: 0 }) };
}

describe('KeptStdio', () => {
  it('gives a container nothing of what an earlier one of its name has written, whose task outlived it', async () => {
    const task = await makeTask('a');
    isDeleted = true;
    stdio.containerDeleted(NAMESPACE, 'web');
    // Another one is made.
    isDeleted = false;
    expect(stdio.logOf(NAMESPACE, 'web')).toBeDefined();
    task.end();
    await expect.poll(() => stdio.logOf(NAMESPACE, 'web'), SOON).toBeUndefined();
  });

  it('goes on when something cannot be removed', async () => {
    const stays = join(directory, 'stdio', NAMESPACE, 'web', 'a', 'mounted');
    const task = await makeTask('a');
    mkdirSync(stays);
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', stays]);
    onTestFinished(() => void execFileSync('umount', ['-l', stays]));
    task.end();
    await expect.poll(() => stdio.logOf(NAMESPACE, 'web')?.writer, SOON).toBeUndefined();
    stdio.sweep();
    const next = await makeTask('b');
    next.end();
    await expect.poll(() => readdirSync(join(directory, 'stdio', NAMESPACE, 'web')), SOON).toEqual(['a']);
  });
});
