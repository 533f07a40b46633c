import { join } from 'node:path';
import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { Header } from '@longshore/proto/headers';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { Channel, createClient } from '@longshore/rpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { containerOf, NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { tasksRpc } from './tasks-rpc.ts';

const options = { headers: { [Header.Namespace]: NAMESPACE } };
const containerId = 'web';

let node: TaskFixture;
let server: GrpcServer;
let channel: Channel;

beforeEach(async () => {
  node = await TaskFixture.open();
  server = new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));
  server.add(Tasks, tasksRpc(node.manager));
  const address = `unix://${join(node.directory, 'grpc.sock')}`;
  await server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
  channel = new Channel(address);
});

afterEach(async () => {
  channel.close();
  await server.close(1_000);
  await node.close();
});

describe('tasksRpc', () => {
  it('runs a task from create to delete', async () => {
    const tasks = createClient(Tasks, channel);
    node.containers.set(containerId, containerOf(containerId, node.spec(containerId, ['sleep', '1000'])));
    const { pid } = await tasks.create(node.request(containerId), options);
    expect(await tasks.start({ containerId }, options)).toMatchObject({ pid });
    expect((await tasks.get({ containerId }, options)).process).toMatchObject({
      id: containerId,
      pid,
      status: Status.RUNNING,
    });
    expect((await tasks.list({}, options)).tasks.map(({ id }) => id)).toEqual([containerId]);
    expect((await tasks.list({}, { headers: { [Header.Namespace]: 'other' } })).tasks).toEqual([]);
    const part = {
      headers: { ...options.headers, [Header.ListFrom]: Buffer.from('wec').toString('base64url') },
    };
    expect((await tasks.list({}, part)).tasks).toEqual([]);
    expect((await tasks.listPids({ containerId }, options)).processes.map((one) => one.pid)).toEqual([pid]);

    const { metrics } = await tasks.metrics({ filters: [`id==${containerId}`] }, options);
    expect(metrics).toMatchObject([
      { id: containerId, data: { typeUrl: expect.stringMatching(/cgroups\.v[12]\.Metrics$/) } },
    ]);
    expect((await tasks.metrics({ filters: ['id==other'] }, options)).metrics).toEqual([]);
    await expect(tasks.metrics({ filters: ['id=='] }, options)).rejects.toMatchObject({ kind: 'Unknown' });

    const value = Buffer.from('{"memory":{"limit":67108864}}');
    await tasks.update({ containerId, resources: { typeUrl: JsonTypeUrl.LinuxResources, value } }, options);
    // Neither ends the shim.
    await tasks.update({ containerId }, options);
    await expect(tasks.exec({ containerId, execId: 'bare' }, options)).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: 'exec bare: spec must be set: invalid argument',
    });
    await tasks.pause({ containerId }, options);
    await tasks.resume({ containerId }, options);

    await tasks.exec(
      node.execRequest(containerId, 'a', { args: ['/bin/busybox', 'sleep', '1000'], cwd: '/' }),
      options,
    );
    await tasks.start({ containerId, execId: 'a' }, options);
    await tasks.closeIO({ containerId, execId: 'a', stdin: true }, options);
    await tasks.kill({ containerId, execId: 'a', signal: 9 }, options);
    await tasks.wait({ containerId, execId: 'a' }, options);
    expect(await tasks.deleteProcess({ containerId, execId: 'a' }, options)).toMatchObject({ id: 'a' });

    const waiting = tasks.wait({ containerId }, options);
    await tasks.kill({ containerId, signal: 15 }, options);
    await tasks.kill({ containerId, signal: 9 }, options);
    expect(await waiting).toMatchObject({ exitStatus: 137, exitedAt: expect.anything() });
    expect(await tasks.delete({ containerId }, options)).toMatchObject({ pid, exitStatus: 137 });
    await expect(tasks.get({ containerId }, options)).rejects.toMatchObject({
      kind: 'NotFound',
      message: 'task web not found',
    });
  });

  it('resizes a terminal', async () => {
    const tasks = createClient(Tasks, channel);
    const spec = node.spec(containerId, ['sh', '-c', 'sleep 1000']) as { process: object };
    const withTerminal = { ...spec, process: { ...spec.process, terminal: true } };
    node.containers.set(containerId, containerOf(containerId, withTerminal));
    await tasks.create(node.request(containerId, { terminal: true, stdout: '/dev/null' }), options);
    await tasks.start({ containerId }, options);
    await tasks.resizePty({ containerId, width: 80, height: 24 }, options);
  });

  it('refuses in the words and kinds of containerd', async () => {
    const tasks = createClient(Tasks, channel);
    await expect(tasks.list({})).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: /namespace is required/,
    });
    await expect(tasks.kill({ containerId: 'nobody', signal: 9 }, options)).rejects.toMatchObject({
      kind: 'NotFound',
      message: `container "nobody" in namespace "${NAMESPACE}": not found`,
    });
    node.containers.set(containerId, containerOf(containerId, node.spec(containerId, ['sleep', '1000'])));
    await tasks.create(node.request(containerId), options);
    await expect(tasks.create(node.request(containerId), options)).rejects.toMatchObject({
      kind: 'AlreadyExists',
    });
    await expect(tasks.checkpoint({ containerId }, options)).rejects.toMatchObject({ kind: 'Unimplemented' });
    for (const call of [tasks.start, tasks.get, tasks.kill, tasks.wait, tasks.deleteProcess, tasks.closeIO]) {
      await expect(call({ containerId, execId: 'none' }, options)).rejects.toMatchObject({
        kind: 'NotFound',
      });
    }
    await expect(tasks.exec({ containerId }, options)).rejects.toMatchObject({ kind: 'InvalidArgument' });
    await expect(tasks.deleteProcess({ containerId }, options)).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    await tasks.start({ containerId }, options);
    await tasks.kill({ containerId, signal: 9 }, options);
    await tasks.wait({ containerId }, options);
    await expect(tasks.kill({ containerId, signal: 9 }, options)).rejects.toMatchObject({
      kind: 'NotFound',
      message: /process already finished/,
    });
    await expect.poll(() => node.exits(containerId), SOON).toHaveLength(1);
  });
});
