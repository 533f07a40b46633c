import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { RuntimeInfoSchema, RuntimeRequestSchema } from '@longshore/proto/containerd/types/introspection';
import { describe, expect, it } from 'vitest';
import { runtimeInfo } from '../runtimes/runtime-info.ts';
import { RuntimeBinaries } from '../tasks/runtime-binary.ts';
import { onPath } from '../tasks/task-fixture.testing.ts';
import { script } from '../tasks/testing/installed-shim.ts';
import { testRuntimes } from '../tasks/testing/test-runtimes.ts';
import { introspectionRpc } from './introspection-rpc.ts';
import { served } from './testing/served.ts';

const TASKS = { type: 'io.containerd.runtime.v2', id: 'task' };

function client() {
  const options = { binaries: new RuntimeBinaries(process.env.PATH ?? ''), env: process.env };
  return served(
    Introspection,
    introspectionRpc({
      uuid: 'u-1',
      node: {
        snapshotters: [{ name: 'far', exports: { a: 'b' }, capabilities: ['rebase'] }],
        opt: '/root/opt',
      },
      runtimeInfo: (request) => runtimeInfo(options, request),
    }),
  );
}

const about = (runtimePath: string, typeUrl: string = RuntimeRequestSchema.typeName) => ({
  ...TASKS,
  options: { typeUrl, value: toBinary(RuntimeRequestSchema, create(RuntimeRequestSchema, { runtimePath })) },
});

describe('Introspection', () => {
  it('tells what clients look for: the restart policies, where runtimes are installed, platforms', async () => {
    const introspection = await client();
    const one = async (filter: string) => (await introspection.plugins({ filters: [filter] })).plugins;
    expect(await one('type==io.containerd.snapshotter.v1')).toMatchObject([
      { id: 'far', exports: { a: 'b' }, capabilities: ['rebase'] },
    ]);
    expect(await one('id==restart')).toMatchObject([
      {
        type: 'io.containerd.monitor.container.v1',
        capabilities: ['no', 'always', 'on-failure', 'unless-stopped'],
      },
    ]);
    expect(await one('id==opt')).toMatchObject([
      { type: 'io.containerd.internal.v1', exports: { path: '/root/opt' } },
    ]);
    expect(await one('type==io.containerd.runtime.v2')).toMatchObject([
      { id: 'task', platforms: [{ os: 'linux' }] },
    ]);
    expect(await one('id==mounts')).toMatchObject([{ initErr: { code: 12 } }]);
  });

  it('passes on what a shim says of its runtime', async () => {
    const introspection = await client();
    const shim = (await testRuntimes()).shims['2.x'];
    const { plugin, extra } = await introspection.pluginInfo(about(shim));
    expect(plugin).toMatchObject(TASKS);
    expect(extra?.typeUrl).toBe(RuntimeInfoSchema.typeName);
    const info = fromBinary(RuntimeInfoSchema, extra!.value);
    expect(info).toMatchObject({
      name: 'io.containerd.runc.v2',
      version: { version: expect.stringMatching(/^2\./) },
    });
    expect(JSON.parse(Buffer.from(info.features!.value).toString())).toHaveProperty('linux.cgroup');
  });

  it('says which plugin, runtime or request it does not know', async () => {
    const introspection = await client();
    const fails = (request: object) =>
      introspection.pluginInfo(request).then(
        () => undefined,
        (error) => error,
      );
    expect(await fails({ type: 'x', id: 'y' })).toMatchObject({ kind: 'NotFound' });
    const other = { ...about('x'), type: 'io.containerd.internal.v1', id: 'opt' };
    expect(await fails(other)).toMatchObject({ kind: 'Unimplemented' });
    expect(await fails(about('x', 'acme.Request'))).toMatchObject({ kind: 'Unimplemented' });
    const missing = await fails(about('io.acme.x.v1'));
    expect(missing).toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/failed to resolve runtime path: .*not installed/),
    });
    const old = await fails(about(onPath('containerd-shim-runc-v2')));
    expect(old).toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/failed to run \[.* -info\]: exit status 2/),
    });
    const garbled = await fails(about(script('containerd-shim-x-v1', 'echo rubbish')));
    expect(garbled).toMatchObject({
      kind: 'Unknown',
      message: expect.stringMatching(/failed to unmarshal stdout/),
    });
  });
});
