import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { binaryIo, type Client, type Container, logFile, nullIo, streams } from '@longshore/client';
import { withMemoryLimit, withTty } from '@longshore/oci/runtime-spec';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Collected } from './collected.ts';
import { freshId, openClient, type Server, scripted } from './server.ts';

/**
 * A logging program, told one file: shims hand on pairs of words in no certain order. It reads the outputs from its descriptors 3 and 4, says that
 * it is ready by closing 5, and is told to end when the shim does. Source: containerd core/runtime/v2/README.md, Logging.
 */
const LOGGER = `#!/bin/sh
trap "" TERM
exec >"$2"
echo "$1"
cat <&3 5>&- &
cat <&4 5>&- &
exec 5>&-
wait
`;

const SLEEP = 'trap "exit 7" TERM; sleep 1000 & wait';

export function tasksSuite(serverOf: () => Server): void {
  describe('tasks', () => {
    let server: Server;
    let client: Client;
    beforeAll(() => {
      server = serverOf();
      client = openClient(server);
    });
    afterAll(() => {
      client?.close();
    });

    async function withContainer(
      script: string,
      work: (container: Container) => Promise<void>,
      ...spec: Parameters<typeof scripted>[4][]
    ): Promise<void> {
      const id = freshId();
      const made = await client.newContainer(id, ...(await scripted(server, client, id, script, ...spec)));
      await using container = made;
      await work(container);
    }

    it('give their output and exit to who waits before they start', () =>
      withContainer('echo out; echo err >&2; cat; exit 3', async (container) => {
        const [stdout, stderr] = [new Collected(), new Collected()];
        async function* stdin() {
          yield 'in 1\n';
          yield Buffer.from('in 2\n');
        }
        const task = await container.newTask(streams({ stdin: stdin(), stdout, stderr }));
        expect((await task.status()).state).toBe('created');
        const exit = task.wait();
        await task.start();
        expect(task.pid).toBeGreaterThan(0);
        expect((await exit).code).toBe(3);
        // Also for who asks later, as long as it is there.
        expect((await task.wait()).code).toBe(3);
        expect((await task.status()).exit?.code).toBe(3);
        await expect(container.delete()).rejects.toMatchObject({ kind: 'FailedPrecondition' });
        expect((await task.delete()).code).toBe(3);
        expect(stdout.text).toBe('out\nin 1\nin 2\n');
        expect(stderr.text).toBe('err\n');
        expect(stdout.writableEnded).toBe(true);
        await expect(task.status()).rejects.toMatchObject({ kind: 'NotFound' });
      }));

    it('are signalled, paused, limited and measured while they run', () =>
      withContainer(
        SLEEP,
        async (container) => {
          await using task = await container.newTask(nullIo());
          await task.start();
          await expect(task.delete()).rejects.toMatchObject({ kind: 'FailedPrecondition' });
          const { pid } = task;
          expect((await task.pids()).map((each) => each.pid)).toContain(pid);
          await task.update({ memory: { limit: 48 * 1024 ** 2 } });
          const metrics = await task.metrics();
          expect(metrics.kind).toMatch(/^cgroup-v/);
          if (metrics.kind === 'cgroup-v2') expect(metrics.cgroup.memory?.usageLimit).toBe(48n * 1024n ** 2n);
          await task.pause();
          expect((await task.status()).state).toBe('paused');
          await task.resume();
          expect((await task.status()).state).toBe('running');
          const stopped = new AbortController();
          const waiting = task.wait({ signal: stopped.signal });
          stopped.abort();
          await expect(waiting).rejects.toMatchObject({ kind: 'Canceled' });
          const again = await (await client.container(container.id)).task();
          expect(again.pid).toBe(pid);
          await again.kill('TERM');
          expect((await task.wait()).code).toBe(7);
        },
        withMemoryLimit(64 * 1024 ** 2),
      ));

    it('have further processes, each with streams and an exit of its own', () =>
      withContainer(SLEEP, async (container) => {
        const task = await container.newTask(nullIo());
        await task.start();
        const stdout = new Collected();
        const script = ['sh', '-c', 'echo $WHAT; cat; exit 5'];
        const process = { ...(await container.processSpec(script)), env: ['PATH=/bin', 'WHAT=hello'] };
        const exec = await task.exec('e1', process, streams({ stdin: inputOf('typed\n'), stdout }));
        const exit = exec.wait();
        await exec.start();
        expect(exec.pid).toBeGreaterThan(0);
        expect((await exit).code).toBe(5);
        expect((await exec.delete()).code).toBe(5);
        expect(stdout.text).toBe('hello\ntyped\n');
        const sleeper = await task.exec('e2', await container.processSpec(['sleep', '1000']), nullIo());
        await sleeper.start();
        expect(await task.pids()).toContainEqual(
          // A longshore node, and a containerd, tells which ones are execs.
          { pid: sleeper.pid, execId: 'e2' },
        );
        const found = await task.process('e2');
        expect(found.pid).toBe(sleeper.pid);
        await found.kill('SIGKILL');
        expect((await sleeper.wait()).code).toBe(137);
        expect((await found.wait()).code).toBe(137);
        await found.delete();
        await expect(task.process('e2')).rejects.toMatchObject({ kind: 'NotFound' });
        const tasks = await Array.fromAsync(client.tasks());
        expect(tasks).toContainEqual(
          expect.objectContaining({ containerId: container.id, state: 'running', pid: task.pid }),
        );
        await expect(task.exec('', process, nullIo())).rejects.toMatchObject({ kind: 'InvalidArgument' });
        const missing = await task.exec(
          'e3',
          await container.processSpec(['no-such-program']),
          streams({ stdout: new Collected() }),
        );
        await expect(missing.start()).rejects.toThrow(/no-such-program/);
        await missing.delete().catch(() => undefined);
        await task.delete({ kill: true });
      }));

    it('have terminals, of the size that they are given', () =>
      withContainer(
        'read line; stty size; echo "got $line"; [ -t 1 ] && exit 4',
        async (container) => {
          const stdout = new Collected();
          const typed = Promise.withResolvers<void>();
          async function* stdin() {
            await typed.promise;
            yield 'word\n';
            await new Promise(() => undefined);
          }
          const task = await container.newTask(streams({ stdin: stdin(), stdout, terminal: true }));
          const exit = task.wait();
          await task.start();
          await task.resize(71, 23);
          typed.resolve();
          expect((await exit).code).toBe(4);
          await task.delete();
          expect(stdout.text).toMatch(/23 71\r\ngot word\r\n$/);
        },
        withTty,
      ));

    it('write to a file of the server', () =>
      withContainer('echo out; echo err >&2', async (container) => {
        const path = `${server.fifos}-${container.id}.log`;
        const task = await container.newTask(logFile(path));
        const exit = task.wait();
        await task.start();
        await exit;
        await task.delete();
        // containerd's shim may still be copying.
        const lines = () => readFileSync(path, 'utf8').split('\n').toSorted();
        await expect.poll(lines).toEqual(['', 'err', 'out']);
        expect(() => logFile('relative')).toThrow(/absolute/);
      }));

    it('give their output to a program of the server', () =>
      withContainer('echo out; echo err >&2', async (container) => {
        const [program, path] = ['logger', 'out'].map((end) => `${server.fifos}-${container.id}.${end}`) as [
          string,
          string,
        ];
        writeFileSync(program, LOGGER, { mode: 0o755 });
        const task = await container.newTask(binaryIo(program, { to: path }));
        const exit = task.wait();
        await task.start();
        expect((await exit).code).toBe(0);
        await task.delete();
        const lines = () => readFileSync(path, 'utf8').split('\n').toSorted();
        await expect.poll(lines).toEqual(['', 'err', 'out', 'to']);
        expect(() => binaryIo('sh')).toThrow(/absolute/);
      }));

    it('leave no file open and no fifo behind', async () => {
      expect(readdirSync(server.fifos)).toEqual([]);
      await expect.poll(() => openBelow(server.fifos)).toEqual([]);
    });
  });
}

async function* inputOf(text: string): AsyncGenerator<string> {
  yield text;
}

/** What this process has open below a directory, also what was removed. */
function openBelow(directory: string): string[] {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ''; // closed meanwhile
    }
  });
  return targets.filter((target) => target.startsWith(directory));
}
