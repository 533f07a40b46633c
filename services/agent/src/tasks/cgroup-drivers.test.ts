import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import { MetricsSchema as MetricsV2Schema } from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { afterEach, describe, expect, it } from 'vitest';
import { CALL, onPath, TaskFixture } from './task-fixture.testing.ts';
import { onUnifiedCgroups, withProgram } from './testing/installed-shim.ts';

const SHIM = 'containerd-shim-runc-v2';

let node: TaskFixture;

afterEach(async () => {
  await node.close();
});

describe('cgroups', () => {
  it('may be of version 2: here the shim and runc see a hierarchy of that alone', async () => {
    const env = withProgram(SHIM, onUnifiedCgroups(onPath(SHIM)));
    node = await TaskFixture.open({ env });
    const task = await node.run('web', ['sleep', '1000']);
    await node.restart(undefined, { env });
    const again = await node.manager.get(CALL, 'web');
    const { stats } = await again.call('stats', {});
    expect(stats?.typeUrl).toBe(MetricsV2Schema.typeName);
    expect(fromBinary(MetricsV2Schema, stats!.value).cpu).toBeDefined();
    await node.exec(again, 'shell', ['sh', '-c', 'exit 5']);
    expect((await again.call('wait', { execId: 'shell' })).exitStatus).toBe(5);
    await again.call('pause', {});
    await again.call('resume', {});
    await again.call('kill', { signal: 9 });
    expect(await again.call('wait', {})).toMatchObject({ exitStatus: 137 });
    expect(await node.manager.delete(CALL, 'web')).toMatchObject({ pid: task.record.pid, exitStatus: 137 });
  });

  it("may be systemd's: path and option reach runc as they came, which says that no systemd runs here", async () => {
    node = await TaskFixture.open();
    const value = toBinary(OptionsSchema, create(OptionsSchema, { systemdCgroup: true }));
    const linux = {
      cgroupsPath: 'longshore.slice:longshore:web',
      namespaces: [{ type: 'pid' }, { type: 'mount' }],
    };
    const options = { typeUrl: OptionsSchema.typeName, value };
    await expect(node.create('web', ['true'], { linux }, { options })).rejects.toThrow(/systemd/);
    expect(node.leftovers()).toEqual([]);
  });
});
