import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failedPrecondition, kindOf } from '@longshore/errors';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bundle } from './bundle.ts';
import { addExec, deleteExec, processState, startProcess } from './process-operations.ts';
import type { ProcessIo } from './task-context.ts';
import { CALL, containerOf, GROUP, NAMESPACE, SOON, TaskFixture } from './task-fixture.testing.ts';
import type { ProcessRecord } from './task-journal.ts';

let node: TaskFixture;

beforeEach(async () => {
  node = await TaskFixture.open();
});

afterEach(async () => {
  await node.close();
});

const FOREVER = ['sleep', '1000'];

describe('a task', () => {
  it('is created, started, waited for and deleted, and tells of it in that order', async () => {
    const task = await node.create('web', ['sh', '-c', 'exit 7']);
    expect(await processState(node.manager.context, task, '')).toMatchObject({
      id: 'web',
      status: Status.CREATED,
    });
    const pid = await startProcess(node.manager.context, task, '', CALL);
    expect(pid).toBe(task.record.pid);
    expect((await task.call('wait', {})).exitStatus).toBe(7);
    expect(await node.manager.delete(CALL, 'web')).toMatchObject({ pid, exitStatus: 7 });
    expect(node.topics('web')).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(node.exits('web')).toMatchObject([{ containerId: 'web', id: 'web', pid, exitStatus: 7 }]);
    expect(node.leftovers()).toEqual([]);
    await expect(node.manager.get(CALL, 'web')).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'task web not found',
    });
  });

  it('that dies at once exits after it started', async () => {
    const ids = Array.from({ length: 5 }, (_, i) => `quick-${i}`);
    await Promise.all(ids.map((id) => node.run(id, ['true'])));
    for (const id of ids) {
      await expect
        .poll(() => node.topics(id), SOON)
        .toEqual(['/tasks/create', '/tasks/start', '/tasks/exit']);
    }
  });

  it('is killed by a signal, and refuses to be deleted before', async () => {
    const task = await node.run('web', FOREVER);
    await expect(node.manager.delete(CALL, 'web')).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/^failed to delete task: cannot delete a running process/),
    });
    await task.call('kill', { signal: 9 });
    expect((await task.call('wait', {})).exitStatus).toBe(137);
    await expect.poll(() => node.exits('web'), SOON).toMatchObject([{ exitStatus: 137 }]);
    expect(await processState(node.manager.context, task, '')).toMatchObject({ status: Status.STOPPED });
  });

  it('has execs, whose exits come before its own', async () => {
    const { context } = node.manager;
    const task = await node.run('web', FOREVER);
    const pid = await node.exec(task, 'shell', ['sh', '-c', 'exit 3']);
    expect((await task.call('wait', { execId: 'shell' })).exitStatus).toBe(3);
    expect(await deleteExec(context, task, 'shell', CALL)).toMatchObject({ pid, exitStatus: 3 });
    await expect(task.call('state', { execId: 'shell' })).rejects.toMatchObject({ kind: 'NotFound' });

    await node.exec(task, 'shell', FOREVER);
    const again = addExec(context, task, node.execRequest('web', 'shell', {}), CALL);
    await expect(again).rejects.toMatchObject({ kind: 'AlreadyExists', message: 'id shell: already exists' });
    await task.call('kill', { signal: 9 });
    await expect.poll(() => node.topics('web').at(-1), SOON).toBe('/tasks/exit');
    expect(node.topics('web')).toEqual([
      '/tasks/create',
      '/tasks/start',
      '/tasks/exec-added',
      '/tasks/exec-started',
      '/tasks/exit(shell)',
      '/tasks/exec-added',
      '/tasks/exec-started',
      '/tasks/exit(shell)',
      '/tasks/exit',
    ]);
  });

  it('has one of two execs that come with the same id at once, and tells of its whole life', async () => {
    const heard = Promise.withResolvers<void>();
    const resolve = async ({ execId }: ProcessRecord, io: ProcessIo) => {
      // Between the journal and the shim.
      if (execId) await heard.promise;
      return io;
    };
    await node.restart(undefined, {
      stdio: {
        resolve,
        forget: () => undefined,
        add: () => undefined,
        shown: (_: unknown, io: ProcessIo) => io,
      },
    });
    const { context } = node.manager;
    const task = await node.run('web', FOREVER);
    const spec = { args: ['/bin/busybox', 'true'], cwd: '/', user: { uid: 0, gid: 0 } };
    const request = node.execRequest('web', 'shell', spec);
    const add = () => addExec(context, task, request, CALL).then(() => 'OK', kindOf);
    const first = add();
    await expect.poll(() => context.journal.find(NAMESPACE, 'web', 'shell'), SOON).toBeDefined();
    const second = add();
    await task.call('state', {});
    heard.resolve();
    expect(await Promise.all([first, second])).toEqual(['OK', 'AlreadyExists']);
    const pid = await startProcess(context, task, 'shell', CALL);
    await task.call('wait', { execId: 'shell' });
    await expect.poll(() => node.topics('web').at(-1), SOON).toBe('/tasks/exit(shell)');
    expect(context.journal.ofTask(task.record.incarnation).slice(1)).toMatchObject([
      { execId: 'shell', pid, started: true, exited: true, ended: false },
    ]);
  });

  it('is paused and resumed, updated, and lists its pids', async () => {
    const task = await node.run('web', FOREVER);
    for (const _ of [1, 2]) {
      await task.call('pause', {});
      expect(await processState(node.manager.context, task, '')).toMatchObject({ status: Status.PAUSED });
      await task.call('resume', {});
    }
    await expect
      .poll(() => node.topics('web').slice(2), SOON)
      .toEqual(['/tasks/paused', '/tasks/resumed', '/tasks/paused', '/tasks/resumed']);
    const { processes } = await task.call('pids', {});
    expect(processes.map(({ pid }) => pid)).toEqual([task.record.pid]);
  });

  it('lives in a cgroup below the configured one, with runc state of this node', async () => {
    const task = await node.run('web', FOREVER);
    const cgroups = readFileSync(`/proc/${task.record.pid}/cgroup`, 'utf8');
    expect(cgroups).toContain(`${node.cgroupParent}/${NAMESPACE}/web`);
    expect(readFileSync(join(node.stateDir, 'runc', NAMESPACE, 'web', 'state.json'), 'utf8')).toContain(
      '"web"',
    );
  });

  it('writes where its caller says', async () => {
    const path = join(node.directory, 'out', 'web.log');
    // Shim 1.6 closes the file with the first stream that ends, so the process lives on for a moment.
    const io = { stdout: `file://${path}`, stderr: `file://${path}` };
    const task = await node.create('web', ['sh', '-c', 'echo out; echo err >&2; sleep 0.3'], {}, io);
    await startProcess(node.manager.context, task, '', CALL);
    await task.call('wait', {});
    await expect.poll(() => readFileSync(path, 'utf8').split('\n').sort(), SOON).toEqual(['', 'err', 'out']);
  });

  it('has a shim in a session of its own, which shares no pipe with the agent', async () => {
    const task = await node.run('web', FOREVER);
    const pid = await node.shimPid(task);
    const session = (of: number | string) =>
      readFileSync(`/proc/${of}/stat`, 'utf8').split(') ')[1]!.split(' ')[3];
    expect(session(pid)).not.toBe(session('self'));
    const stdio = [0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(stdio).toEqual(['/dev/null', '/dev/null', task.bundle.logPath]);
  });

  it('can be made again under the same id, at once', async () => {
    for (let i = 0; i < 3; i++) {
      const task = await node.run('web', ['true']);
      await task.call('wait', {});
      await node.manager.delete(CALL, 'web');
    }
    const ids = node.events.map(({ id }) => id);
    expect(new Set(ids).size).toBe(12);
    expect(node.exits('web')).toHaveLength(3);
  });
});

describe('tasks', () => {
  it('are made ten at once', async () => {
    const ids = Array.from({ length: 10 }, (_, i) => `many-${i}`);
    const tasks = await Promise.all(ids.map((id) => node.run(id, ['sh', '-c', 'exit 4'])));
    const ends = await Promise.all(tasks.map((task) => task.call('wait', {})));
    expect(ends.map(({ exitStatus }) => exitStatus)).toEqual(ids.map(() => 4));
    expect(node.manager.list(NAMESPACE).map(({ id }) => id)).toEqual(ids);
    await Promise.all(ids.map((id) => node.manager.delete(CALL, id)));
    expect(node.leftovers()).toEqual([]);
  }, 60_000);

  it('of a group share a shim, which ends with the last of them', async () => {
    const group = { annotations: { 'io.containerd.runc.v2.group': GROUP } };
    const [first, second] = [await node.run('one', ['true'], group), await node.run('two', ['true'], group)];
    const shimPid = await node.shimPid(first);
    expect(await node.shimPid(second)).toBe(shimPid);
    await first.call('wait', {});
    await node.manager.delete(CALL, 'one');
    expect((await second.call('wait', {})).exitStatus).toBe(0);
    await node.manager.delete(CALL, 'two');
    await expect.poll(() => node.leftovers(), SOON).toEqual([]);
    expect(node.topics('one')).toEqual(node.topics('two'));
  });

  it('of a group that is named after another container outlive that one', async () => {
    const first = await node.run('one', ['true']);
    const second = await node.run('two', FOREVER, { annotations: { 'io.containerd.runc.v2.group': 'one' } });
    expect(await node.shimPid(second)).toBe(await node.shimPid(first));
    await first.call('wait', {});
    await node.manager.delete(CALL, 'one');
    expect(await processState(node.manager.context, second, '')).toMatchObject({ status: Status.RUNNING });
  });

  it('exist once for each container', async () => {
    const first = node.create('web', FOREVER);
    const second = node.create('web', FOREVER);
    await expect(second).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: 'task web: already exists',
    });
    await first;
    await expect(node.create('web', FOREVER)).rejects.toMatchObject({ kind: 'AlreadyExists' });
  });

  it('of containers that do not exist are not found, in the words of containerd', async () => {
    await expect(node.manager.get(CALL, 'nobody')).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'container "nobody" in namespace "task-test": not found',
    });
  });
});

describe('a create that fails', () => {
  const broken: [string, string[], object, RegExp][] = [
    [
      'a command that is not there',
      ['true'],
      { process: { args: ['nope'], cwd: '/', user: {} } },
      /nope.*not found/,
    ],
    [
      'a spec that runc refuses',
      ['true'],
      { linux: { namespaces: [{ type: 'pid', path: '/nope' }] } },
      /nope/,
    ],
    [
      'a mount of nothing',
      ['true'],
      { mounts: [{ destination: '/x', type: 'bind', source: '/nope' }] },
      /nope/,
    ],
  ];

  it.each(broken)('for %s has the words of the shim and leaves nothing', async (_what, args, spec, words) => {
    const failed = node.create('web', args, spec);
    await expect(failed).rejects.toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/^failed to create shim task: OCI runtime create failed: /),
    });
    await expect(failed).rejects.toThrow(words);
    expect(node.leftovers()).toEqual([]);
    expect(node.topics('web')).toEqual([]);
    await node.run('web', ['true']);
  });

  it('for a rootfs that cannot be mounted leaves nothing', async () => {
    const rootfs = [{ type: 'overlay', source: 'overlay', options: ['lowerdir=/nope-a:/nope-b'] }];
    await expect(node.create('web', ['true'], {}, { rootfs })).rejects.toMatchObject({
      message: expect.stringMatching(/^failed to create shim task: .*mount/),
    });
    expect(node.leftovers()).toEqual([]);
  });

  it('for stdio that is not there, which runc has no part in, leaves nothing', async () => {
    const failed = node.create('web', FOREVER, {}, { stdout: '/nope/stdout', stderr: '/nope/stderr' });
    await expect(failed).rejects.toThrow(/^failed to create shim task: .*nope/);
    expect(node.leftovers()).toEqual([]);
  });

  it('in a group leaves the others of it alone', async () => {
    const group = { annotations: { 'io.containerd.runc.v2.group': GROUP } };
    const first = await node.run('one', FOREVER, group);
    const io = { stdout: '/nope/stdout', stderr: '/nope/stderr' };
    await expect(node.create('two', FOREVER, group, io)).rejects.toThrow(/nope/);
    const third = await node.run('three', ['true'], group);
    expect(await node.shimPid(third)).toBe(await node.shimPid(first));
    expect(await processState(node.manager.context, first, '')).toMatchObject({ status: Status.RUNNING });
  });

  it('says why, though it cannot be undone either', async () => {
    let stray = '';
    const forgotten: string[] = [];
    const resolve = async ({ containerId }: ProcessRecord): Promise<ProcessIo> => {
      stray = join(new Bundle(node.manager.context.directories, NAMESPACE, containerId).rootfsPath, 'stray');
      writeFileSync(stray, '');
      throw failedPrecondition('no output');
    };
    const forget = ({ containerId }: ProcessRecord) => void forgotten.push(containerId);
    await node.restart(undefined, {
      stdio: { resolve, forget, add: () => undefined, shown: (_: unknown, io: ProcessIo) => io },
    });
    await expect(node.create('web', FOREVER)).rejects.toMatchObject({
      message: 'no output: failed precondition',
    });
    expect(forgotten).toEqual(['web']);
    expect(node.manager.context.journal.liveTasks()).toEqual([]);
    await node.restart(async () => rmSync(stray));
  });

  it('for a runtime that is not installed, or has no name, leaves nothing', async () => {
    const make = (runtime: string) => {
      node.containers.set('web', containerOf('web', node.spec('web', ['true']), runtime));
      return node.manager.create(CALL, node.request('web'));
    };
    await expect(make('io.containerd.nope.v1')).rejects.toMatchObject({
      kind: 'Unknown',
      message:
        'failed to start shim: failed to resolve runtime path: runtime "io.containerd.nope.v1" binary not installed "containerd-shim-nope-v1": file does not exist',
    });
    await expect(make('nope')).rejects.toThrow(/invalid runtime name nope/);
    await expect(make('/nope/shim')).rejects.toThrow(/invalid custom binary path/);
    await expect(make('/bin/false')).rejects.toThrow(/^failed to start shim: start failed: : exit status 1$/);
    expect(node.leftovers()).toEqual([]);
  });

  it('for an id that is no identifier is refused', async () => {
    await expect(node.create('../web', ['true'])).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });

  it('because its caller went away leaves nothing', async () => {
    const caller = new AbortController();
    node.containers.set('web', containerOf('web', node.spec('web', FOREVER)));
    const created = node.manager.create({ ...CALL, signal: caller.signal }, node.request('web'));
    await expect
      .poll(() => node.leftovers().some((path) => path.includes('containerd-shim')), SOON)
      .toBe(true);
    caller.abort();
    await expect(created).rejects.toMatchObject({ kind: 'Canceled' });
    expect(node.leftovers()).toEqual([]);
  });
});
