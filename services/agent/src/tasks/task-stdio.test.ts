import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { kindOf } from '@longshore/errors';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addExec, closeProcessIo, processState, startProcess } from './process-operations.ts';
import type { Task } from './task.ts';
import { CALL, SOON, TaskFixture } from './task-fixture.testing.ts';
import { ClientPipes } from './testing/client-pipes.ts';
import { expectWholeFile } from './testing/expect-whole-file.ts';
import { script } from './testing/installed-shim.ts';

/** Echoes its input line by line, and says when it has ended. */
const ECHO = 'while read -r line; do echo "got $line"; done; echo end; exit 3';
const FOREVER = ['sleep', '1000'];

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

const start = (task: Task, execId = '') => startProcess(node.manager.context, task, execId, CALL);
const closeIo = (task: Task, execId = '') => closeProcessIo(task, { execId, stdin: true }, CALL);

const within = (ms: number) => ({ ...CALL, deadline: new Date(Date.now() + ms) });
const soon = () => within(1_000);

/** Makes an exec of a shell, which is not started. */
async function addShell(task: Task, execId: string, words: string, { io }: ClientPipes): Promise<void> {
  const process = { args: ['/bin/busybox', 'sh', '-c', words], cwd: '/', terminal: io.terminal };
  const request = { ...node.execRequest(task.id, execId, process), ...io };
  await addExec(node.manager.context, task, request, CALL);
}

async function end(task: Task): Promise<void> {
  await task.call('kill', { signal: 9 });
  expect((await task.call('wait', {})).exitStatus).toBe(137);
}

describe('input', () => {
  it('ends once the client has closed its end and asked for CloseIO, in either order', async () => {
    const [ofTask, ofExec] = [
      new ClientPipes({ stdin: true }).read(),
      new ClientPipes({ stdin: true }).read(),
    ];
    const task = await node.create('web', ['sh', '-c', ECHO], {}, ofTask.io);
    await start(task);
    await addShell(task, 'shell', ECHO, ofExec);
    await start(task, 'shell');

    // The client leaves twice, and each time nothing ends for the process.
    for (const line of ['a', 'b']) {
      await ofTask.type(`${line}\n`);
      await expect.poll(() => ofTask.output, SOON).toMatch(`got ${line}\n`);
    }
    {
      await using client = await open(ofExec.io.stdin, 'w');
      await closeIo(task, 'shell');
      await client.write('c\n');
      await expect.poll(() => ofExec.output, SOON).toBe('got c\n');
    }
    expect(await task.call('wait', { execId: 'shell' })).toMatchObject({ exitStatus: 3 });
    await expect.poll(() => ofExec.output, SOON).toBe('got c\nend\n');
    await closeIo(task);
    expect(await task.call('wait', {})).toMatchObject({ exitStatus: 3 });
    await expect.poll(() => ofTask.output, SOON).toBe('got a\ngot b\nend\n');
  });

  it('of a client that is gone before the start is there, to its end', async () => {
    const pipes = new ClientPipes({ stdin: true }).read();
    const task = await node.create('web', ['sh', '-c', ECHO], {}, pipes.io);
    await pipes.type('early\n');
    await closeIo(task);
    await start(task);
    expect(await task.call('wait', {})).toMatchObject({ exitStatus: 3 });
    await expect.poll(() => pipes.output, SOON).toBe('got early\nend\n');
  });

  it('that its process does not read to the end holds nobody up', async () => {
    const pipes = new ClientPipes({ stdin: true }).read();
    const task = await node.create('web', ['sh', '-c', 'read -r line; exit 3'], {}, pipes.io);
    const typing = pipes.type('x\n'.repeat(500_000)).then(() => 'OK', kindOfErrno);
    await start(task);
    expect(await task.call('wait', {})).toMatchObject({ exitStatus: 3 });
    expect(await node.manager.delete(CALL, 'web')).toMatchObject({ exitStatus: 3 });
    expect(await typing).toBe('EPIPE');
    expect(node.leftovers()).toEqual([]);
  });
});

function kindOfErrno(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? kindOf(error);
}

describe('a terminal', () => {
  it('has the size that was asked for, before the start and after, of a task and of an exec', async () => {
    const words = 'stty size; read -r line; stty size; read -r line';
    const [ofTask, ofExec] = [
      new ClientPipes({ stdin: true, terminal: true }).read(),
      new ClientPipes({ stdin: true, terminal: true }).read(),
    ];
    const { process, ...spec } = node.spec('web', ['sh', '-c', words]) as { process: object };
    const task = await node.create(
      'web',
      [],
      { ...spec, process: { ...process, terminal: true } },
      ofTask.io,
    );
    await task.call('resizePty', { width: 80, height: 24 });
    await start(task);
    await expect.poll(() => ofTask.output, SOON).toBe('24 80\r\n');
    await task.call('resizePty', { width: 132, height: 43 });
    await ofTask.type('\n');
    await expect.poll(() => ofTask.output, SOON).toBe('24 80\r\n\r\n43 132\r\n');

    await addShell(task, 'shell', words, ofExec);
    await start(task, 'shell');
    await expect.poll(() => ofExec.output, SOON).toMatch(/\r\n$/);
    await task.call('resizePty', { execId: 'shell', width: 90, height: 30 });
    await ofExec.type('\n');
    await expect.poll(() => ofExec.output, SOON).toMatch(/\r\n30 90\r\n$/);
  });
});

describe('output', () => {
  it('to the path of a file is appended there', async () => {
    const path = join(node.directory, 'web.log');
    writeFileSync(path, 'before\n');
    await start(await node.create('web', ['echo', 'out'], {}, { stdout: path, stderr: '/dev/null' }));
    await expect.poll(() => readFileSync(path, 'utf8'), SOON).toBe('before\nout\n');
  });

  it('to a file is whole, however much', async () => {
    await expectWholeFile(node, 50_000_000);
  });

  it('that nobody reads holds up neither others nor its own end', async () => {
    const [unread, left] = [new ClientPipes(), new ClientPipes()];
    const areFull = [unread, left].map((pipes) => pipes.hold());
    const endless = ['head', '-c', '1000000000', '/dev/zero'];
    const loud = await node.create('loud', endless, {}, unread.io);
    const other = await node.create('other', endless, {}, left.io);
    const before = process.memoryUsage().rss;
    await Promise.all([start(loud), start(other)]);
    await expect.poll(() => areFull.every((isFull) => isFull()), SOON).toBe(true);
    const quiet = await node.run('quiet', ['true']);
    await quiet.call('wait', {});
    await node.manager.delete(CALL, 'quiet');
    expect(await node.exec(loud, 'shell', ['true'])).toBeGreaterThan(0);
    expect(await processState(node.manager.context, loud, '')).toMatchObject({ status: Status.RUNNING });
    expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);

    await Promise.all([end(loud), end(other)]);
    // The shim waits for the reader, at most 10 s; a caller may leave meanwhile.
    const leaving = node.manager.delete(soon(), 'other').catch(() => undefined);
    expect(await node.manager.delete(within(12_000), 'loud')).toMatchObject({ exitStatus: 137 });
    await leaving;
    await node.manager.delete(CALL, 'other').catch((error) => expect(kindOf(error)).toBe('NotFound'));
    expect(node.leftovers()).toEqual([]);
    for (const id of ['loud', 'other']) {
      expect(node.topics(id).filter((topic) => !topic.includes('exec') && !topic.includes('shell'))).toEqual([
        '/tasks/create',
        '/tasks/start',
        '/tasks/exit',
        '/tasks/delete',
      ]);
    }
  });

  it('into fifos that nobody has opened fails the create in its time, and leaves nothing', async () => {
    const { io } = new ClientPipes();
    const creating = node.create('web', FOREVER, {}, io, soon());
    await expect(creating).rejects.toThrow();
    expect(node.leftovers()).toEqual([]);
    await node.run('web', ['true']);
  });
});

describe('a logger', () => {
  /** What the logger writes down, by name. */
  const noted = () => join(node.directory, 'noted');
  const note = (name: string) => readFileSync(join(noted(), name), 'utf8');

  /** A logger that writes all that it gets to `$2`, and does this meanwhile. */
  function logger(words: string): string {
    mkdirSync(noted());
    const take = `
      trap 'signal=TERM' TERM
      echo "$*" > "$2/argv"; env > "$2/env"
      cat <&3 5>&- > "$2/stdout" & cat <&4 5>&- > "$2/stderr" &`;
    return `binary://${script('logger', `${take}\n${words}`)}?to=${noted()}`;
  }

  it('gets its arguments, its environment, both outputs to their ends, and time to finish', async () => {
    const stdout = logger(`
      sleep 0.2; echo > "$2/ready"; exec 5>&-
      while [ -z "$signal" ]; do sleep 0.05; done
      wait; echo "$signal" > "$2/end"`);
    const io = { stdout, stderr: stdout };
    const task = await node.create('web', ['sh', '-c', 'echo out; echo err >&2; exit 3'], {}, io);
    expect(readdirSync(noted())).toContain('ready');
    await node.restart();
    const again = await node.manager.get(CALL, 'web');
    await start(again);
    expect(await again.call('wait', {})).toMatchObject({ exitStatus: 3 });
    await node.manager.delete(CALL, task.id);
    expect(note('argv')).toBe(`to ${noted()}\n`);
    expect(note('env').split('\n')).toEqual(
      expect.arrayContaining(['CONTAINER_ID=web', 'CONTAINER_NAMESPACE=task-test']),
    );
    expect([note('stdout'), note('stderr'), note('end')]).toEqual(['out\n', 'err\n', 'TERM\n']);
    expect(node.leftovers()).toEqual([]);
  });

  it('that is never ready fails the create in its time, and ends', async () => {
    const stdout = logger('wait');
    const creating = node.create('web', FOREVER, {}, { stdout, stderr: stdout }, soon());
    await expect(creating).rejects.toThrow();
    await expect.poll(() => node.leftovers(), SOON).toEqual([]);
  });

  it('that is not there fails the create', async () => {
    const nowhere = 'binary:///nowhere/logger';
    await expect(node.create('web', FOREVER, {}, { stdout: nowhere, stderr: nowhere })).rejects.toThrow(
      /nowhere/,
    );
    expect(node.leftovers()).toEqual([]);
  });
});
