import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cli } from '../../harness/cli.ts';
import type { Fleet } from '../../harness/fleet.ts';
import { waitUntil } from '../../harness/wait-until.ts';

interface Shown {
  id: string;
  node: string;
  status: string;
  change?: string;
}

/** The `longshore` command at a gateway over the network, as an admin with a certificate and as a program with a token. */
export function commandLine(theFleet: () => Fleet, theImage: () => string): void {
  let home: string;
  /** With a certificate. */
  let admin: Cli;
  /** With a token for the namespace `ci`. */
  let robot: Cli;
  const contextOf = async (name: string, ...options: string[]) => {
    const cli = new Cli({ LONGSHORE_CONFIG: join(home, 'contexts'), LONGSHORE_CONTEXT: name, HOME: home });
    const server = theFleet().local.outside.address('gateway-1');
    await cli.ok('context', 'set', name, '--context', 'local', '--server', server, ...options);
    return cli;
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'longshore-home-'));
    const { tlsCa, tlsCert, tlsKey } = await theFleet().admin('operator');
    admin = await contextOf('admin', '--ca', tlsCa, '--certificate', tlsCert, '--key', tlsKey);
    const token = join(home, 'token');
    writeFileSync(token, await admin.ok('token', 'create', '-n', 'ci', '-r', 'operator'));
    robot = await contextOf('robot', '--ca', tlsCa, '--token-file', token, '--default-namespace', 'ci');
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  describe('longshore, with a certificate', () => {
    it('runs containers on the nodes that are named, and finds each where it is', async () => {
      const watch = admin.start(['ps', '-w', '-o', 'json']);
      const seen = () =>
        watch.stdout
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as Shown);
      for (const node of ['n1', 'n2']) {
        await admin.ok('run', '-d', '--node', node, '--name', `on-${node}`, theImage(), 'sleep', '1000');
        await admin.ok('run', '-d', '--node', node, '--name', 'on-both', theImage(), 'sleep', '1000');
        expect(await admin.ok('exec', `on-${node}`, 'hostname')).toBe(`on-${node}\n`);
      }
      const told = () => new Set(seen().map(({ id, node }) => `${id} ${node}`));
      expect(await waitUntil(() => told().size === 4)).toBe(true);
      const listed = await admin.json<Shown[]>('ps', '-f', 'name=on-');
      expect(listed.map(({ id, node }) => `${id} ${node}`)).toEqual([
        'on-both n1',
        'on-both n2',
        'on-n1 n1',
        'on-n2 n2',
      ]);
      const stats = await admin.ok('stats', '--no-stream', '--interval', '0.1');
      expect(stats.match(/^on-both .* n[12]$/gm)).toHaveLength(2);
      expect(await admin.run('kill', 'on-both')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('Say which one is meant: --node ID.'),
      });
      await admin.ok('rm', '-f', '--node', 'n1', 'on-both');
      await admin.ok('rm', '-f', 'on-both', 'on-n1', 'on-n2');
      const removed = () => seen().filter(({ change, id }) => change === 'removed' && id.startsWith('on-'));
      expect(await waitUntil(() => removed().length === 4)).toBe(true);
      watch.interrupt();
      expect(await watch.ended).toMatchObject({ code: 130, stderr: '' });
    });

    it('drains a node: says that it has when nothing runs there any more', async () => {
      await admin.ok('run', '-d', '--node', 'n2', '--name', 'drained', theImage(), 'sleep', '1000');
      expect(await admin.ok('nodes', 'drain', 'n2', '--grace', '1s')).toBe('n2\n');
      expect(await admin.json('inspect', 'drained')).toMatchObject([{ status: 'stopped' }]);
      const refused = await admin.run('run', '--rm', '--node', 'n2', theImage(), 'true');
      expect(refused).toMatchObject({ code: 125, stderr: expect.stringContaining('is cordoned') });
      await admin.ok('nodes', 'uncordon', 'n2');
      expect(await admin.json('nodes', '-l', '!none')).toMatchObject([
        { id: 'n1', state: 'ready' },
        { id: 'n2', state: 'ready', cordoned: false },
      ]);
      await admin.ok('rm', 'drained');
    });

    it('lets machines join, and no longer', async () => {
      const made = await admin.json<{ id: string; server: string }>(
        'nodes',
        'join-token',
        'create',
        '--for',
        'n9',
      );
      expect(await admin.json('nodes', 'join-token')).toContainEqual(
        expect.objectContaining({ id: made.id, node_id: 'n9', used_by: null }),
      );
      await admin.ok('nodes', 'join-token', 'rm', made.id);
      expect(await admin.ok('nodes', 'join-token', '-q')).not.toContain(made.id);
    });
  });

  describe('longshore, with a token', () => {
    it('does what it may where it may, and says what else it would take', async () => {
      await robot.ok('pull', '-q', '--plain-http', '--node', 'n1', theImage());
      expect(await robot.ok('run', '--rm', '--node', 'n1', theImage(), 'echo', 'hi')).toBe('hi\n');
      expect(await robot.run('nodes')).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(/Hint: .*"longshore role grant viewer token\/\w+ --fleet"/),
      });
    });

    it('is nobody with a token that is revoked, or none', async () => {
      const [{ id }] = (await admin.json<[{ id: string }]>('token', '-n', 'ci')) as [{ id: string }];
      await admin.ok('token', 'rm', id);
      expect(await waitUntil(async () => (await robot.run('ps')).code === 5)).toBe(true);
      writeFileSync(join(home, 'token'), 'lst_no_token');
      expect(await robot.run('ps')).toMatchObject({ code: 5, stdout: '' });
    });
  });
}
