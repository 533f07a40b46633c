import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { AttachRequestSchema, ExecRequestSchema } from '@longshore/proto/longshore/node/v1/stdio';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endExec } from '../stdio/remote-exec.ts';
import { Inputs, outcomeOf, RemoteNode } from '../stdio/testing/remote-node.ts';
import { addExec, startProcess } from '../tasks/process-operations.ts';
import { CALL, NAMESPACE, SOON } from '../tasks/task-fixture.testing.ts';

type AttachInput = MessageInitShape<typeof AttachRequestSchema>;
type ExecInput = MessageInitShape<typeof ExecRequestSchema>;

const containerId = 'web';
let node: RemoteNode;

beforeEach(async () => {
  node = await RemoteNode.open();
});
afterEach(() => node.close());

async function start(): Promise<void> {
  const { manager } = node.tasks;
  await startProcess(manager.context, await manager.get(CALL, containerId), '', CALL);
}

async function kill(signal = 9): Promise<void> {
  await (await node.tasks.manager.get(CALL, containerId)).call('kill', { signal });
}

async function remove(): Promise<void> {
  const task = await node.tasks.manager.get(CALL, containerId);
  await task.call('wait', {});
  await node.tasks.manager.delete(CALL, containerId);
}

/** Whether a process with this argument is in the container. */
async function runs(argument: string): Promise<boolean> {
  const task = await node.tasks.manager.get(CALL, containerId);
  const { processes: all } = await task.call('pids', {});
  return all.some(({ pid }) => argumentsOf(pid).includes(argument));
}

function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  } catch {
    // It has just ended.
    return [];
  }
}

function sh(script: string): string[] {
  return ['sh', '-c', script];
}

/** An attached caller: what it has heard so far, and how its call ends. */
function attach(start: { stdin?: boolean; logs?: boolean } = {}) {
  const inputs = new Inputs<AttachInput>();
  inputs.push({ message: { case: 'start', value: { containerId, ...start } } });
  let heard = '';
  const ended = outcomeOf(node.attach(inputs), (text) => (heard = text));
  ended.catch(() => undefined);
  const type = (text: string) => inputs.push({ message: { case: 'stdin', value: Buffer.from(text) } });
  return { inputs, type, ended, heard: () => heard };
}

function startExec(value: object, signal?: AbortSignal) {
  const inputs = new Inputs<ExecInput>();
  inputs.push({ message: { case: 'start', value: { containerId, ...value } } });
  let heard = '';
  const ended = outcomeOf(node.exec(inputs, signal), (text) => (heard = text));
  ended.catch(() => undefined);
  return { inputs, ended, heard: () => heard };
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

/** Fifos of execs that this process has open. */
function openExecFifos(): string[] {
  const below = join(node.tasks.stateDir, 'stdio');
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(below) && path.includes('/execs/') ? [path] : [];
    } catch {
      return [];
    }
  });
}

describe('stdioRpc.create and logs', () => {
  it('keeps what a container writes to both streams, with its task and without, until the container goes', async () => {
    await node.create(containerId, sh('echo out; echo err >&2; printf no-newline'));
    const followed = node.logText(containerId, true);
    await start();
    expect(await followed).toMatch(/^(?=.*out\n)(?=.*err\n)(?=.*no-newline)/s);
    const stderr = await Array.fromAsync(node.logs({ containerId, stderr: true }));
    expect(stderr.flatMap(({ outputs }) => outputs).map(({ data }) => Buffer.from(data).toString())).toEqual([
      'err\n',
    ]);
    expect(stderr.at(-1)?.ended).toBe(true);
    await remove();
    expect(await node.logText(containerId, true)).toHaveLength('out\nerr\nno-newline'.length);

    await node.create(containerId, sh('echo again'));
    await start();
    expect((await node.logText(containerId, true)).endsWith('again\n')).toBe(true);
    // The first task left its line open: on that stream, what came next is the same line.
    const tail = await Array.fromAsync(node.logs({ containerId, tail: 1n, stdout: true }));
    expect(tail.flatMap(({ outputs }) => outputs).map(({ data }) => Buffer.from(data).toString())).toEqual([
      'no-newline',
      'again\n',
    ]);
    node.deleted.add(containerId);
    node.stdio.containerDeleted(NAMESPACE, containerId);
    expect(await node.logText(containerId)).toContain('again');
    await remove();
    await expect(node.logText(containerId)).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    await expect.poll(() => readdirSync(join(node.tasks.rootDir, 'logs')), SOON).toEqual([]);
  });

  it('takes longshore://log from any caller of tasks.v1, for an exec too, and leaves nothing of what fails', async () => {
    const task = await node.tasks.create(
      containerId,
      ['sleep', '1000'],
      {},
      { stdout: 'longshore://log?files=2' },
    );
    await start();
    const { manager } = node.tasks;
    const request = node.tasks.execRequest(containerId, 'e', {
      args: ['/bin/busybox', ...sh('echo from an exec')],
      cwd: '/',
    });
    await addExec(manager.context, task, Object.assign(request, { stdout: 'longshore://log' }), CALL);
    await startProcess(manager.context, task, 'e', CALL);
    await expect.poll(() => node.logText(containerId), SOON).toBe('from an exec\n');
    await kill();
    await remove();

    const io = (stdout: string) =>
      node.tasks.create(containerId, ['true'], { root: { path: '/none' } }, { stdout });
    await expect(io('longshore://log?files=0x')).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(io('longshore://log?file_bytes=1')).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(io('longshore://log')).rejects.toThrow(/failed to create/);
    expect(existsSync(join(node.tasks.stateDir, 'stdio', NAMESPACE))).toBe(false);
  });

  it.each(['its process', 'its shim'])(
    'has the last words of a task of which %s ends while no agent is there',
    async (what) => {
      await node.create(
        containerId,
        sh('while [ ! -e /tmp/go ]; do sleep 0.05; done; seq 1 50000; [ -e /tmp/end ] || sleep 1000'),
      );
      await start();
      const task = await node.tasks.manager.get(CALL, containerId);
      const { pid } = task.record;
      const shimPid = await node.tasks.shimPid(task);
      const image = join(node.tasks.directory, 'image/tmp');
      const written = Array.from({ length: 50_000 }, (_, n) => `${n + 1}\n`).join('');
      await node.restart(async () => {
        // What a shim has not passed on goes with it.
        const passedOn = () =>
          Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${shimPid}/io`, 'utf8'))?.[1]);
        const before = passedOn();
        if (what === 'its process') writeFileSync(join(image, 'end'), '');
        writeFileSync(join(image, 'go'), '');
        if (what === 'its process') return expect.poll(() => isAlive(pid), SOON).toBe(false);
        await expect.poll(() => passedOn() - before, SOON).toBeGreaterThanOrEqual(written.length);
        process.kill(shimPid, 'SIGKILL');
      });
      await expect.poll(() => node.logText(containerId), SOON).toBe(written);
      await remove().catch(() => undefined);
    },
  );

  it('refuses what has no sense', async () => {
    await expect(
      node.create(containerId, ['true']).then(() => node.create(containerId, ['true'])),
    ).rejects.toMatchObject({
      kind: 'AlreadyExists',
    });
    await expect(attach({ stdin: true }).ended).rejects.toMatchObject({ kind: 'FailedPrecondition' });
    const inputs = new Inputs<AttachInput>();
    inputs.push({ message: { case: 'detach', value: {} } });
    await expect(outcomeOf(node.attach(inputs))).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(Array.fromAsync(node.logs({ containerId, tail: -1n }))).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    await node.tasks.create('plain', ['sleep', '1000']);
    await expect(Array.fromAsync(node.logs({ containerId: 'plain' }))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: /output is not kept/,
    });
  });
});

describe('stdioRpc.attach', () => {
  it('passes input on to its end, and answers how the process ended, last', async () => {
    await node.create(containerId, sh('wc -c; exit 3'), { stdin: true });
    const caller = attach({ stdin: true });
    await start();
    for (let n = 0; n < 20; n++) caller.type('x'.repeat(50_000));
    caller.inputs.push({ message: { case: 'stdinClosed', value: {} } });
    expect(await caller.ended).toEqual({ stdout: '1000000\n', stderr: '', status: 3 });
  });

  it('has a terminal whose size follows, and can be left and come back to', async () => {
    await node.create(containerId, ['sh'], { terminal: true, stdin: true });
    await start();
    const first = attach({ stdin: true });
    first.inputs.push({ message: { case: 'resize', value: { width: 123, height: 45 } } });
    first.type('stty size\n');
    await expect.poll(first.heard, SOON).toContain('45 123');
    first.inputs.push({ message: { case: 'detach', value: {} } });
    expect(await first.ended).toMatchObject({ status: undefined });

    const second = attach({ stdin: true, logs: true });
    await expect.poll(second.heard, SOON).toContain('45 123');
    second.type('exit 7\n');
    expect(await second.ended).toMatchObject({ status: 7 });
  });

  it('can be left while the process reads nothing', async () => {
    await node.create(containerId, ['sleep', '1000'], { stdin: true });
    await start();
    const caller = attach({ stdin: true });
    for (let n = 0; n < 8; n++) caller.type('x'.repeat(50_000));
    caller.inputs.push({ message: { case: 'stdinClosed', value: {} } });
    caller.inputs.push({ message: { case: 'detach', value: {} } });
    expect(await caller.ended).toMatchObject({ status: undefined });
    await kill();
  });

  it('goes on after the agent was killed; output of the time without one is not lost, nor the standard input', async () => {
    await node.create(containerId, sh('while read line; do echo "got $line"; sleep 0.2; echo after; done'), {
      stdin: true,
    });
    await start();
    const first = attach({ stdin: true });
    first.type('one\n');
    await expect.poll(first.heard, SOON).toContain('got one');
    await node.restart(async () => {
      await expect
        .poll(
          () =>
            first.ended.then(
              () => 'ok',
              () => 'broken',
            ),
          SOON,
        )
        .toBe('broken');
    });
    const second = attach({ stdin: true, logs: true });
    second.type('two\n');
    await expect.poll(second.heard, SOON).toBe('got one\nafter\ngot two\nafter\n');
    second.inputs.push({ message: { case: 'stdinClosed', value: {} } });
    expect(await second.ended).toMatchObject({ status: 0 });
  });
});

describe('stdioRpc.exec', () => {
  beforeEach(async () => {
    await node.create(containerId, sh('trap "exit 0" TERM; while :; do sleep 0.1; done'));
    await start();
  });

  it('answers both streams and the exit code, with input, environment, directory and user', async () => {
    const args = [
      '/bin/busybox',
      ...sh('cat; echo "$A in $(pwd) as $(id -u):$(id -g)"; echo bad >&2; exit 9'),
    ];
    const exec = { containerId, args, env: ['A=b'], cwd: '/tmp', user: '5:6' };
    expect(await node.run(exec, 'hello\n')).toEqual({
      stdout: 'hello\nb in /tmp as 5:6\n',
      stderr: 'bad\n',
      status: 9,
    });
    await expect(node.run({ containerId })).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(node.run({ containerId, args: ['/none'] })).rejects.toThrow(/no such file|not found/);
    const spec = { args: ['/bin/busybox', 'echo', 'by spec'], cwd: '/' };
    const any = { typeUrl: JsonTypeUrl.Process, value: Buffer.from(JSON.stringify(spec)) };
    expect(await node.run({ containerId, execId: 'named', spec: any })).toMatchObject({
      stdout: 'by spec\n',
    });
    expect(await node.run({ containerId, execId: 'named', spec: any })).toMatchObject({ status: 0 });
    await expect
      .poll(() => readdirSync(join(node.tasks.stateDir, 'stdio', NAMESPACE, containerId)).length, SOON)
      .toBe(1);
  });

  it('has a terminal of the size that was asked for', async () => {
    const { inputs, ended, heard } = startExec({
      terminal: true,
      stdin: true,
      args: ['/bin/busybox', 'sh'],
      size: { width: 90, height: 30 },
    });
    inputs.push({ message: { case: 'stdin', value: Buffer.from('stty size; echo $TERM\n') } });
    await expect.poll(heard, SOON).toMatch(/30 90\r\nxterm/);
    inputs.push({ message: { case: 'resize', value: { width: 91, height: 31 } } });
    inputs.push({ message: { case: 'stdin', value: Buffer.from('stty size; exit 4\n') } });
    expect(await ended).toMatchObject({ stdout: expect.stringContaining('31 91'), status: 4 });
  });

  it('gives all to a reader that is slower than the process, even after its end', async () => {
    const args = ['/bin/busybox', ...sh('yes 0123456789 | head -n 400000')];
    const inputs = new Inputs<ExecInput>();
    inputs.push({ message: { case: 'start', value: { containerId, args } } });
    let bytes = 0;
    let n = 0;
    for await (const { message } of node.exec(inputs)) {
      if (message.case === 'output') bytes += message.value.data.length;
      if (n++ % 8 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(bytes).toBe(4_400_000);
  });

  it('passes signals on, and ends though others have its output open', async () => {
    const trapped = startExec({
      args: ['/bin/busybox', ...sh('trap "exit 8" USR1; echo ready; while :; do sleep 0.1; done')],
    });
    await expect.poll(trapped.heard, SOON).toBe('ready\n');
    trapped.inputs.push({ message: { case: 'signal', value: 10 } });
    expect(await trapped.ended).toMatchObject({ status: 8 });
    const started = performance.now();
    expect(await node.run({ containerId, args: ['/bin/busybox', ...sh('sleep 1000 & echo left')] })).toEqual({
      stdout: 'left\n',
      stderr: '',
      status: 0,
    });
    expect(performance.now() - started).toBeLessThan(6_000);
  });

  it('finds names in the root file system that the spec names', async () => {
    const image = join(node.tasks.directory, 'image');
    mkdirSync(join(image, 'etc'));
    writeFileSync(join(image, 'etc/passwd'), 'app:x:1000:1001::/:/bin/sh\n');
    await node.tasks.create('own-root', ['sleep', '1000'], { root: { path: image } }, { rootfs: [] });
    const { manager } = node.tasks;
    await startProcess(manager.context, await manager.get(CALL, 'own-root'), '', CALL);
    const args = ['/bin/busybox', ...sh('id -u; id -g')];
    expect(await node.run({ containerId: 'own-root', user: 'app', args })).toMatchObject({
      stdout: '1000\n1001\n',
    });
  });

  it('is deleted at once when it was never started', async () => {
    const { context } = node.tasks.manager;
    const task = await node.tasks.manager.get(CALL, containerId);
    const spec = { args: ['/bin/busybox', 'true'], cwd: '/' };
    await addExec(context, task, node.tasks.execRequest(containerId, 'e', spec), CALL);
    await endExec(context, task, 'e');
    await expect(task.call('state', { execId: 'e' })).rejects.toMatchObject({ kind: 'NotFound' });
  });

  it('hears of signals while it reads nothing', async () => {
    const deaf = startExec({ stdin: true, args: ['/bin/busybox', 'sleep', '1000'] });
    for (let n = 0; n < 8; n++) {
      deaf.inputs.push({ message: { case: 'stdin', value: Buffer.alloc(50_000) } });
    }
    deaf.inputs.push({ message: { case: 'stdinClosed', value: {} } });
    deaf.inputs.push({ message: { case: 'signal', value: 9 } });
    expect(await deaf.ended).toMatchObject({ status: 137 });
  });

  it('ends with its caller though it has closed its outputs', async () => {
    const left = new AbortController();
    const script = 'echo up; exec >/dev/null 2>&1; sleep 4321';
    const silent = startExec({ args: ['/bin/busybox', ...sh(script)] }, left.signal);
    await expect.poll(silent.heard, SOON).toBe('up\n');
    await expect.poll(openExecFifos, SOON).toEqual([]);
    await expect.poll(() => runs('4321'), SOON).toBe(true);
    left.abort();
    await expect.poll(() => runs('4321'), SOON).toBe(false);
  });

  it('ends with its caller, however it leaves, and with the agent; a detached one goes on and writes to the log', async () => {
    const sleep = ['/bin/busybox', ...sh('echo up; exec sleep 4322')];
    const left = new AbortController();
    const leaving = startExec({ args: sleep }, left.signal);
    await expect.poll(leaving.heard, SOON).toBe('up\n');
    await expect.poll(() => runs('4322'), SOON).toBe(true);
    left.abort();
    await expect.poll(() => runs('4322'), SOON).toBe(false);

    const broken = startExec({ args: sleep });
    await expect.poll(broken.heard, SOON).toBe('up\n');
    await expect.poll(() => runs('4322'), SOON).toBe(true);
    const script = 'echo detached; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo done';
    const detached = { detached: true, execId: 'd', args: ['/bin/busybox', ...sh(script)] };
    expect((await startExec(detached).ended).status).toBeUndefined();
    await expect.poll(() => node.logText(containerId), SOON).toBe('detached\n');
    await node.restart();
    await node.run({ containerId, args: ['/bin/busybox', 'touch', '/tmp/go'] });
    await expect.poll(() => node.logText(containerId), SOON).toBe('detached\ndone\n');
    await expect.poll(() => runs('4322'), SOON).toBe(false);
    // Its id is free once it is deleted.
    const again = () =>
      node.run({ ...detached, containerId, detached: false, args: ['/bin/busybox', 'true'] });
    await expect.poll(() => again().catch((error: Error) => error), SOON).toMatchObject({ status: 0 });
  });
});
