import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { makeBusyboxImage, pushImage } from '@longshore/local';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient } from '@longshore/rpc';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Stack, startStack } from '../harness/stack.ts';

const run = promisify(execFile);
/** Of RFC 2544's range for tests: nobody's network. */
const [HOST, CONTAINER] = ['198.18.217.1', '198.18.217.2'];
const inDefault = { headers: { [Header.Namespace]: 'default' } };

let stack: Stack;
let busybox: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = await pushImage(stack.registry.host, 'test/busybox', '1', await makeBusyboxImage());
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
});
afterAll(() => stack?.close());

/** Processes in a network namespace. */
function inNetwork(namespace: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/net`) === namespace;
    } catch {
      return false;
    }
  });
}

describe('a container whose network its caller makes', () => {
  it('finds it there when it starts, is reached and reaches out, and takes it away when it goes', async () => {
    const channel = new Channel(`unix://${stack.socket}`);
    onTestFinished(() => channel.close());
    const tasks = createClient(Tasks, channel);
    const containerId = 'wired';
    const script = 'mkdir /www; ip -4 addr show eth0 > /www/seen; exec httpd -f -p 8080 -h /www';
    await stack.ctr.ok(['container', 'create', '--', busybox, containerId, 'sh', '-c', script]);
    const { mounts } = await createClient(Snapshots, channel).mounts(
      { snapshotter: 'overlayfs', key: containerId },
      inDefault,
    );
    const rootfs = mounts.map(({ type, source, target, options }) => ({ type, source, target, options }));
    const { pid } = await tasks.create({ containerId, rootfs }, inDefault);
    const namespace = readlinkSync(`/proc/${pid}/ns/net`);
    expect(namespace).not.toBe(readlinkSync('/proc/self/ns/net'));

    const host = `lst${pid}`;
    const ip = (...args: string[]) => run('ip', args);
    const inside = (...args: string[]) => run('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', ...args]);
    onTestFinished(async () => void (await ip('link', 'delete', host).catch(() => undefined)));
    await ip('link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
    await ip('addr', 'add', `${HOST}/30`, 'dev', host);
    await ip('link', 'set', host, 'up');
    await inside('addr', 'add', `${CONTAINER}/30`, 'dev', 'eth0');
    await inside('link', 'set', 'eth0', 'up');

    expect((await tasks.start({ containerId }, inDefault)).pid).toBe(pid);
    const seen = () =>
      fetch(`http://${CONTAINER}:8080/seen`)
        .then((response) => response.text())
        .catch(() => 'not yet');
    await expect.poll(seen, { timeout: 10_000 }).toContain(`inet ${CONTAINER}/30`);

    const server = createServer((_, response) => response.end('from the host')).listen(0, HOST);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const url = `http://${HOST}:${(server.address() as AddressInfo).port}/`;
    const fetched = ['task', 'exec', '--exec-id', 'fetch', containerId, 'wget', '-q', '-O', '-', url];
    expect(await stack.ctr.ok(fetched)).toBe('from the host');

    await stack.ctr.ok(['task', 'rm', '-f', containerId]);
    expect(inNetwork(namespace)).toEqual([]);
    // The kernel takes a namespace apart in its own time, and the cable with it.
    await expect.poll(() => ip('link', 'show', host).catch(() => 'gone'), { timeout: 10_000 }).toBe('gone');
    await stack.ctr.ok(['container', 'rm', containerId]);
  });
});
