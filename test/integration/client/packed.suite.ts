import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Client, nullIo } from '@longshore/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installPacked } from '../../harness/installed-packages.ts';
import { freshId, openClient, type Server, scripted } from './server.ts';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

export interface PackedPlaces {
  directory: string;
  /** A node's socket. */
  node: Server;
  /** A gateway over TCP. */
  edge: Server;
}

/** The examples, run as a user would: from the tarballs, installed in a directory of its own. */
export function packedSuite(placesOf: () => PackedPlaces): void {
  describe('the packages as they are published', () => {
    let places: PackedPlaces;
    let directory: string;
    let client: Client;
    beforeAll(() => {
      places = placesOf();
      directory = join(places.directory, 'installed');
      cpSync(join(REPOSITORY, 'packages/client/examples'), directory, { recursive: true });
      installPacked(directory);
      client = openClient(places.node);
    });
    afterAll(() => client?.close());

    function start(example: string, ...args: string[]): ChildProcess {
      const env = { ...process.env, TOKEN: String(places.edge.options.token) };
      return spawn(process.execPath, [example, ...args], { cwd: directory, env, stdio: 'pipe' });
    }

    async function run(child: ChildProcess, input = '') {
      child.stdin!.end(input);
      const [stdout, stderr, [code]] = await Promise.all([
        text(child.stdout!),
        text(child.stderr!),
        once(child, 'exit'),
      ]);
      return { stdout, stderr, code };
    }

    it('have types that the examples are right by', () => {
      const compilerOptions = {
        target: 'esnext',
        lib: ['esnext'],
        module: 'nodenext',
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
        types: ['node'],
      };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
      const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
      expect(execFileSync(tsc, ['-p', directory], { encoding: 'utf8' })).toBe('');
    });

    it('pull, run and clean up', async () => {
      const { address, imageName } = places.node;
      const script = 'echo hello; exit 3';
      const done = await run(start('run-container.ts', address, imageName, 'sh', '-c', script));
      expect(done).toEqual({ stdout: 'hello\n', stderr: '', code: 3 });
      const left = await Array.fromAsync(client.in({ namespace: 'examples' }).containers());
      expect(left).toEqual([]);
    });

    it('enter a container, watch it go, and find it from the edge', async () => {
      const { node, edge } = places;
      const id = freshId();
      const made = await client.newContainer(id, ...(await scripted(node, client, id, 'sleep 1000')));
      const watch = start('watch-containers.ts', node.address, 'default');
      let seen = '';
      watch.stdout!.on('data', (chunk) => {
        seen += chunk;
      });
      {
        await using container = made;
        const task = await container.newTask(nullIo());
        await task.start();
        const inside = await run(start('exec.ts', node.address, 'default', id, 'cat'), 'through it\n');
        expect(inside).toEqual({ stdout: 'through it\n', stderr: '', code: 0 });
        const { ca } = edge.options.tls!;
        const fleet = await run(start('list-fleet.ts', edge.address, ca, 'default', `id==${id}`));
        expect(fleet.stdout).toMatch(new RegExp(`^\\S+ ${id} ${node.imageName}\n$`));
        await expect.poll(() => seen).toContain(`put ${id} ${node.imageName}\n`);
      }
      await expect.poll(() => seen).toContain(`removed ${id}\n`);
      watch.kill('SIGINT');
      expect((await once(watch, 'exit'))[0]).toBe(0);
    });
  });
}
