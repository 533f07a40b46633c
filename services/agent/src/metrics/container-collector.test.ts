import { create, toBinary } from '@bufbuild/protobuf';
import { createLogger } from '@longshore/kit';
import { MetricsSchema as V1Schema } from '@longshore/proto/io/containerd/cgroups/v1/metrics';
import { MetricsSchema as V2Schema } from '@longshore/proto/io/containerd/cgroups/v2/metrics';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Task } from '../tasks/task.ts';
import { CALL, NAMESPACE, SOON, TaskFixture } from '../tasks/task-fixture.testing.ts';
import { taskMetrics } from '../tasks/task-metrics.ts';
import { freezeProcess } from '../tasks/testing/freeze-process.ts';
import { ContainerCollector, type ContainerCollectorOptions } from './container-collector.ts';

function collectorOf(tasks: unknown, options: Partial<ContainerCollectorOptions> = {}): ContainerCollector {
  return new ContainerCollector({
    tasks: tasks as ContainerCollectorOptions['tasks'],
    runtimeOf: () => 'io.containerd.runc.v2',
    ooms: { of: () => 0 },
    log: createLogger('test', 'silent'),
    ...options,
  });
}

/** Tasks whose shims answer with the same message. */
function runningTasks(count: number, typeUrl: string, value: Uint8Array) {
  const call = async () => ({ stats: { typeUrl, value } });
  const tasks = Array.from({ length: count }, (_, i) => ({ namespace: NAMESPACE, id: `c${i}`, call }));
  return { running: () => [...tasks] as unknown as Task[] };
}

function samplesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('ContainerCollector', () => {
  it('tells of running tasks, also while the shim of another one does not answer', async () => {
    const node = await TaskFixture.open();
    onTestFinished(() => node.close());
    const collector = collectorOf({ running: () => node.manager.running() });
    const silent = await node.run('silent', ['sleep', '1000']);
    const web = await node.run('web', ['sleep', '1000']);
    const pid = await node.shimPid(silent);
    onTestFinished(() => void process.kill(pid, 'SIGCONT'));
    await freezeProcess(pid);
    // On a busy machine the other shim may be late too; then it is asked once more.
    const labels = 'container_id="web",namespace="task-test",runtime="io.containerd.runc.v2"';
    await vi.waitFor(async () => {
      const text = await collector.text();
      expect(text).not.toContain('silent');
      expect(samplesOf(text)).toContain(`container_pids_current{${labels}} 1`);
      const metrics = await taskMetrics(node.manager.context, node.manager.list(NAMESPACE), [], CALL);
      expect(metrics.map(({ id }) => id)).toEqual(['web']);
    }, SOON);
    process.kill(pid, 'SIGCONT');

    for (const task of [silent, web]) await task.call('kill', { signal: 9 });
    await expect.poll(async () => samplesOf(await collector.text()), SOON).toEqual([]);
  });

  it('tells of 300 tasks within a second, each series in one piece', async () => {
    const io = Array.from({ length: 8 }, (_, i) => ({ op: 'Read', major: 8n, minor: BigInt(i), value: 1n }));
    const stats = create(V1Schema, { pids: {}, memory: { usage: {} }, blkio: { ioServicedRecursive: io } });
    const collector = collectorOf(runningTasks(300, V1Schema.typeName, toBinary(V1Schema, stats)));
    const began = performance.now();
    const text = await collector.text();
    expect(performance.now() - began).toBeLessThan(1_000);
    const types = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    expect(new Set(types).size).toBe(types.length);
    expect(types).toContain('container_memory_oom_total counter');
    const names = samplesOf(text).map((line) => line.slice(0, line.indexOf('{')));
    expect(names.filter((name) => name === 'container_blkio_io_serviced_recursive_total')).toHaveLength(2400);
    expect(names.filter((name, i) => name !== names[i - 1]).length).toBe(new Set(names).size);
  });

  it('leaves out what is no cgroup metrics, and the runtime of which nothing is known', async () => {
    const value = toBinary(V2Schema, create(V2Schema, { memoryEvents: { oom: 2n } }));
    const options = { runtimeOf: () => undefined };
    const v2 = collectorOf(runningTasks(1, `types.containerd.io/${V2Schema.typeName}`, value), options);
    expect(samplesOf(await v2.text())).toEqual([
      `container_memory_oom_total{container_id="c0",namespace="${NAMESPACE}"} 2`,
    ]);
    const foreign = collectorOf(runningTasks(1, 'windows.Statistics', value));
    expect(await foreign.text()).toBe('');
    const broken = collectorOf(runningTasks(1, V1Schema.typeName, Buffer.from('not a message')));
    expect(await broken.text()).toBe('');
  });

  it('gives up in time when no shim answers', async () => {
    const call = (_method: string, _request: object, _call: object, timeoutMs: number) =>
      new Promise((_, reject) => setTimeout(() => reject(new Error('deadline exceeded')), timeoutMs));
    const tasks = Array.from({ length: 100 }, (_, i) => ({ namespace: NAMESPACE, id: `c${i}`, call }));
    const began = performance.now();
    expect(await collectorOf({ running: () => tasks }, { scrapeTimeoutMs: 100 }).text()).toBe('');
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
