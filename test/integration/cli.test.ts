import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../architecture/sources.ts';
import { Cli } from '../harness/cli.ts';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const PROGRAM = join(REPOSITORY, 'packages/cli/bin/longshore.mjs');

interface Shown {
  id: string;
  name: string;
  status: string;
  node: string | null;
  exit_code: number | null;
  labels: Record<string, string>;
}

let stack: Stack;
let busybox: string;
let env: Record<string, string>;
/** To the node's own socket. */
let cli: Cli;
/** To the gateway. */
let edge: Cli;
let node: string;

beforeAll(async () => {
  stack = await startStack();
  busybox = (await pushTestImages(stack.registry)).busybox;
  const { PATH = '' } = process.env;
  env = { PATH, HOME: stack.root, LONGSHORE_SOCKET: stack.socket, NO_COLOR: '1' };
  cli = new Cli(env);
  edge = new Cli({ ...env, LONGSHORE_ADDRESS: stack.services.addresses('gateway').grpc! });
  expect(await cli.run('pull', busybox)).toMatchObject({ code: 0, stdout: `${busybox}\n` });
  const [listed] = await edge.json<Shown[]>('nodes');
  node = listed!.id;
});
afterAll(() => stack?.close());

/** A container of this script, which runs with its output kept. */
async function start(id: string, script: string): Promise<void> {
  await stack.ctr.ok(['container', 'create', '--label', 'tier=db', '--', busybox, id, 'sh', '-c', script]);
  expect(await cli.ok('start', id)).toBe(`${id}\n`);
}

async function shown(id: string, from = cli): Promise<Shown | undefined> {
  return (await from.json<Shown[]>('ps', '-a')).find((container) => container.id === id);
}

describe('containers', () => {
  it('are listed, looked into, frozen, ended and removed', async () => {
    await start('web-1', 'echo begun; exec sleep 1000');
    expect(await shown('web-1')).toMatchObject({ status: 'running', node: null, labels: { tier: 'db' } });
    expect(await cli.ok('ps')).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS\nweb-1 .* Up\n$/);
    expect(await cli.ok('ps', '-q', '-f', 'label=tier=db')).toBe('web-1\n');
    expect(await cli.ok('ps', '-q', '-f', 'label=tier=web')).toBe('');
    expect(await waitUntil(async () => (await cli.ok('logs', 'web-1')) === 'begun\n')).toBe(true);
    expect(await cli.ok('logs', '-t', 'web-1')).toMatch(/^20\d\d-\S+Z begun\n$/);
    // It has written before it has become this.
    const top = () => cli.json<{ command: string; uid: number }[]>('top', 'web-1');
    expect(await waitUntil(async () => (await top())[0]?.command === 'sleep 1000')).toBe(true);
    const usage = JSON.parse(await cli.ok('stats', '--no-stream', '--interval', '0.1', '-o', 'json', 'web'));
    expect(usage).toMatchObject({ id: 'web-1', pids: 1, memory_bytes: expect.any(Number) });
    const [whole] = await cli.json<{ spec: { process: object } }[]>('inspect', 'web-1');
    expect(whole).toMatchObject({
      id: 'web-1',
      spec: { process: { args: ['sh', '-c', expect.any(String)] } },
    });

    await cli.ok('pause', 'web-1');
    expect(await shown('web-1')).toMatchObject({ status: 'paused' });
    await cli.ok('unpause', 'web-1');
    expect(await cli.run('rm', 'web-1')).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('Hint: "longshore stop web-1" ends it in order'),
    });
    await cli.ok('kill', '-s', 'KILL', 'web-1');
    expect(await waitUntil(async () => (await shown('web-1'))?.exit_code === 137)).toBe(true);
    expect(await cli.ok('rm', 'web-1')).toBe('web-1\n');
    expect(await shown('web-1')).toBeUndefined();
    expect(await cli.ok('snapshots', '-q', '-f', 'kind==active')).toBe('');
  });

  it('end by their stop signal, or are killed when they do not', async () => {
    await start('stops', 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done');
    expect(await waitUntil(async () => (await cli.ok('logs', 'stops')) === 'ready\n')).toBe(true);
    await cli.ok('stop', 'stops');
    expect(await shown('stops')).toMatchObject({ status: 'stopped', exit_code: 3 });
    expect(await cli.ok('ps', '-a')).toMatch(/Exited \(3\) .* ago/);
    await cli.ok('start', 'stops');
    await cli.ok('rm', '-f', 'stops', 'was-never-there');
    expect(await shown('stops')).toBeUndefined();
  });

  it.each([
    ['on a node', () => cli],
    ['at a gateway', () => edge],
  ])('are watched %s: those that run, then each change of one', async (_, from) => {
    await start('watched', 'exec sleep 1000');
    const watch = from().start(['ps', '-w', '-o', 'json']);
    const changes = () =>
      watch.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Shown & { change: string });
    expect(await waitUntil(() => watch.stdout !== '')).toBe(true);
    await cli.ok('rm', '-f', 'watched');
    expect(await waitUntil(() => changes().at(-1)?.change === 'removed')).toBe(true);
    watch.interrupt();
    expect(await watch.ended).toMatchObject({ code: 130, stderr: '' });
    expect(changes()[0]).toMatchObject({ change: 'listed', id: 'watched', status: 'running' });
    expect(new Set(changes().map(({ id }) => id))).toEqual(new Set(['watched']));
  });

  it('of which one is not there do not keep the others from their turn', async () => {
    await start('there', 'exec sleep 1000');
    const { code, stdout, stderr } = await cli.run('rm', '-f', 'there', '--');
    expect([code, stdout, stderr]).toEqual([0, 'there\n', '']);
    expect(await cli.run('kill', 'nowhere', 'also-nowhere')).toMatchObject({ code: 4, stdout: '' });
  });

  it('are found at the edge, with their node', async () => {
    await start('at-edge', 'echo seen; exec sleep 1000');
    expect(await shown('at-edge', edge)).toMatchObject({ status: 'running', node });
    expect(await edge.ok('ps')).toContain('NODE');
    expect(await waitUntil(async () => (await edge.ok('logs', 'at-edge')) === 'seen\n')).toBe(true);
    await edge.ok('rm', '-f', 'at-edge');
    expect(await shown('at-edge')).toBeUndefined();
  });
});

describe('images and what they are made of', () => {
  it('are listed, named, looked into and removed', async () => {
    expect(await cli.json('images')).toMatchObject([
      { name: busybox, platforms: [{ size_bytes: expect.any(Number) }] },
    ]);
    await cli.ok('tag', busybox, 'app:1');
    expect(await cli.ok('images', '-q', 'app')).toBe('docker.io/library/app:1\n');
    const watch = edge.start(['images', '-w', '--node', node]);
    expect(await waitUntil(() => /^CHANGE .*\nlisted /.test(watch.stdout))).toBe(true);
    await cli.ok('tag', 'app:1', 'app:2');
    expect(await waitUntil(() => /\nadded +app +2 /.test(watch.stdout))).toBe(true);
    await cli.ok('rmi', 'app:2');
    expect(await waitUntil(() => /\nremoved +app +2 /.test(watch.stdout))).toBe(true);
    watch.interrupt();
    expect(await watch.ended).toMatchObject({ code: 130, stderr: '' });
    const [image] = await cli.json<{ config: object; target: { digest: string } }[]>('inspect', 'app:1');
    expect(image).toMatchObject({ config: { rootfs: { type: 'layers' } } });
    const { digest } = image!.target;
    expect(JSON.parse(await cli.ok('content', 'get', digest.slice(0, 20)))).toHaveProperty('layers');
    expect(await cli.ok('content', '-q')).toContain(digest);
    expect(await cli.json('why', 'content', digest)).toMatchObject({
      chain: [{ kind: 'image' }, { kind: 'content', key: digest }],
    });
    const pushed = `${stack.registry.host}/test/pushed:1`;
    expect(await cli.ok('push', '-q', 'app:1', pushed)).toBe(`${pushed}@${digest}\n`);
    const archive = join(stack.root, 'app.tar');
    await cli.ok('export', '-o', archive, 'app:1');
    expect(await cli.ok('-n', 'imported', 'import', archive)).toBe('docker.io/library/app:1\n');
    expect(await cli.json('-n', 'imported', 'images')).toMatchObject([{ target: { digest } }]);
    await cli.ok('-n', 'imported', 'rmi', 'app:1');
    expect(await cli.ok('rmi', 'app:1')).toBe('docker.io/library/app:1\n');
    expect(await cli.run('rmi', 'app:1')).toMatchObject({ code: 4 });
  });

  it('are kept by leases, and collected without', async () => {
    expect(await cli.ok('leases', 'create', '--expire', '1h', 'mine')).toBe('mine\n');
    expect(await cli.json('leases')).toMatchObject([{ id: 'mine', expires_at: expect.any(String) }]);
    expect(await cli.json('leases', 'resources', 'mine')).toEqual([]);
    await cli.ok('leases', 'rm', 'mine');
    expect(await cli.ok('gc')).toMatch(/^\d+ removed\n$/);
    expect(await cli.json('gc', '--dry-run')).toEqual([]);
    expect(await edge.ok('gc', '--node', node)).toMatch(/^\d+ removed\n$/);
  });
});

describe('namespaces, nodes and events', () => {
  it('are made, labelled and removed', async () => {
    await cli.ok('ns', 'create', 'made', '-l', 'a=b');
    await cli.ok('ns', 'label', 'made', 'a-', 'c=d');
    expect(await cli.json('ns')).toContainEqual({ name: 'made', labels: { c: 'd' } });
    await cli.ok('ns', 'rm', 'made');
  });

  it('are ruled at the edge', async () => {
    await edge.ok('nodes', 'cordon', node);
    expect(await edge.json('inspect', '-t', 'node', node)).toMatchObject([{ cordoned: true }]);
    await edge.ok('nodes', 'uncordon', node);
    await edge.ok('nodes', 'label', node, 'zone=a');
    expect(await edge.ok('nodes', '-q', '-l', 'zone=a')).toBe(`${node}\n`);
    expect(await edge.json('nodes', 'join-token')).toEqual([]);
    // Nobody listens for joining nodes on this machine.
    expect(await edge.run('nodes', 'join-token', 'create', '--for', 'n9')).toMatchObject({ code: 6 });
  });

  it('are for those who have a role, or a token with one', async () => {
    expect(await edge.json('role', 'whoami')).toMatchObject({ unrestricted: true });
    await edge.ok('role', 'grant', 'viewer', 'user/alice', '-n', 'prod');
    expect(await edge.ok('role', '-q', '-n', 'prod')).toBe('user/alice\n');
    await edge.ok('role', 'revoke', 'viewer', 'user/alice', '-n', 'prod');
    const made = await edge.json<{ id: string; secret: string }>(
      'token',
      'create',
      '-n',
      'prod',
      'for a test',
    );
    expect(made.secret).toMatch(`lst_${made.id}_`);
    expect(await edge.json('token', '-n', 'prod')).toMatchObject([
      { id: made.id, description: 'for a test' },
    ]);
    await edge.ok('token', 'rm', made.id);
    expect(await edge.json('token', '-n', 'prod')).toEqual([]);
  });

  it('are told as they happen', async () => {
    const events = cli.start(['events', '-n', 'told', '-f', 'topic=/namespaces/', '-o', 'json']);
    // Nobody says when a subscription has begun.
    const makeSome = async () => {
      await cli.ok('ns', 'create', 'told');
      await cli.ok('ns', 'rm', 'told');
      return events.stdout.includes('\n');
    };
    expect(await waitUntil(makeSome)).toBe(true);
    events.interrupt();
    expect(await events.ended).toMatchObject({ code: 130, stderr: '' });
    const first = JSON.parse(events.stdout.split('\n', 1)[0]!);
    expect(first).toMatchObject({ namespace: 'told', topic: expect.stringMatching('^/namespaces/') });

    const stored = edge.start(['events', '-n', 'told', '--since', '10m']);
    expect(await waitUntil(() => stored.stdout.includes(' told /namespaces/create {"name":"told"}'))).toBe(
      true,
    );
    stored.interrupt();
    expect(await stored.ended).toMatchObject({ code: 130, stderr: '' });
  });
});

describe('what is typed wrong', () => {
  it.each([
    [['kill', 'wbe'], 4, 'Did you mean "web"?'],
    [['top', 'wbe'], 4, 'Did you mean "web"?'],
    [['ps', '--al'], 2, '(Did you mean --all?)'],
    [['pss'], 2, '(Did you mean ps?)'],
    [['ps', '-f', 'lable=a'], 2, 'Did you mean "label=a"?'],
    [['kill', '-s', 'TREM', 'web'], 2, 'Did you mean SIGTERM?'],
    [['images', '-o', 'xml'], 2, 'Allowed choices are'],
    [['--context', 'nowhere', 'ps'], 2, '"longshore context ls" lists those'],
    [['--address', 'unix:///nowhere.sock', 'ps'], 3, 'Nothing listens there'],
    [['nodes'], 1, "Nodes, tokens and fleet pulls are a gateway's"],
    [['-n', 'a b', 'ps'], 1, 'namespace validation'],
  ])('longshore %j ends with %i, and says what to do', async (argv, code, hint) => {
    if (argv.includes('wbe')) await stack.ctr.run(['container', 'create', busybox, 'web']);
    expect(await cli.run(...argv)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(hint) });
  });
});

describe('completion', () => {
  it('knows commands, options and names', async () => {
    expect(await cli.ok('__complete', 'pau')).toBe('pause\n');
    expect(await cli.ok('__complete', 'logs', '--fo')).toBe('--follow\n');
    expect(await cli.ok('__complete', 'why', 'im')).toBe('image\n');
    expect(await cli.ok('__complete', 'rmi', busybox.slice(0, 12))).toContain(busybox);
    expect(await edge.ok('__complete', 'nodes', 'drain', '')).toBe(`${node}\n`);
    expect(await edge.ok('__complete', 'ps', '--node', '')).toBe(`${node}\n`);
  });
});

describe('the program', () => {
  const execute = (...argv: string[]) => promisify(execFile)(process.execPath, [PROGRAM, ...argv], { env });

  it('tells both versions', async () => {
    const { stdout } = await execute('version', '-o', 'json');
    expect(JSON.parse(stdout)).toMatchObject({ client: {}, server: { revision: 'longshore' } });
  });

  it('ends with the code of what went wrong, and says it apart from what was asked for', async () => {
    await expect(execute('stop', 'nobody')).rejects.toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringMatching(/^longshore: container "nobody".*not found\nHint: /),
    });
  });

  it('does not mind a reader that has seen enough', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'content', '--no-trunc'], { env, stdio: 'pipe' });
    child.stdout.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
