import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { commandFailed, runShimCommand } from './shim-command.ts';

const shell = (script: string, timeoutMs = 30_000) =>
  runShimCommand({ binary: '/bin/sh', args: ['-c', script], env: process.env, timeoutMs });

/** Runs a script that leaves the pid of a child in a file, and kills that child at the end. */
function pidFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'shim-command-'));
  const path = join(directory, 'pid');
  onTestFinished(() => {
    try {
      process.kill(Number(readFileSync(path, 'utf8')), 'SIGKILL');
    } catch {
      // Gone, which is what most tests want.
    }
    rmSync(directory, { recursive: true });
  });
  return path;
}

function isRunning(pidPath: string): boolean {
  try {
    return !/\) [ZX]/.test(readFileSync(`/proc/${readFileSync(pidPath, 'utf8').trim()}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

describe('runShimCommand', () => {
  it('answers what was printed, and how it ended in the words of Go', async () => {
    expect(await shell('cat; echo err >&2')).toMatchObject({
      failure: undefined,
      stderr: Buffer.from('err\n'),
    });
    const { stdout, failure } = await shell('echo words; exit 3');
    expect(commandFailed(stdout, failure!).message).toBe('words: exit status 3');
    expect((await shell('kill -9 $$')).failure?.message).toBe('signal: SIGKILL');
    const missing = await runShimCommand({ binary: '/nowhere', args: [], env: {}, timeoutMs: 1_000 });
    expect(missing.failure?.message).toMatch(/ENOENT/);
    const args = ['x'.repeat(2 ** 22)];
    const long = await runShimCommand({ binary: '/bin/true', args, env: {}, timeoutMs: 1_000 });
    expect(long.failure?.message).toMatch(/E2BIG/);
  });

  it('says so, and no more, when there are no descriptors left', () => {
    const script = `
      import { openSync, writeSync } from 'node:fs';
      import { runShimCommand } from ${JSON.stringify(new URL('./shim-command.ts', import.meta.url).href)};
      const command = { binary: '/bin/true', args: [], env: {}, timeoutMs: 30_000 };
      await runShimCommand(command);
      try {
        for (;;) openSync('/dev/null');
      } catch {}
      writeSync(1, (await runShimCommand(command)).failure.message);
    `;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const shell = ['-c', 'ulimit -n 100; exec "$@"', 'sh', ...node];
    expect(execFileSync('sh', shell, { encoding: 'utf8' })).toMatch(/EMFILE/);
  });

  it('hands over its input', async () => {
    const input = Buffer.alloc(300_000, 'x');
    const command = { binary: '/bin/cat', args: [], env: process.env, timeoutMs: 30_000 };
    expect((await runShimCommand({ ...command, input })).stdout.equals(input)).toBe(true);
  });

  it('does not wait for a grandchild that holds the pipes', async () => {
    const path = pidFile();
    const began = performance.now();
    const { stdout, failure } = await shell(`sleep 100 & echo $! > ${path}; echo done`);
    expect(failure).toBeUndefined();
    expect(stdout.toString()).toBe('done\n');
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(isRunning(path)).toBe(true);
  });

  it('kills the whole group when the time is up', async () => {
    const path = pidFile();
    const { failure } = await shell(`sleep 100 & echo $! > ${path}; wait`, 500);
    expect(failure).toMatchObject({ kind: 'DeadlineExceeded' });
    await expect.poll(() => isRunning(path)).toBe(false);
  });

  it('keeps a megabyte of what is printed without end', async () => {
    const { stdout, failure } = await shell('head -c 10000000 /dev/zero; exit 1');
    expect(stdout.length).toBe(1024 ** 2);
    expect(commandFailed(stdout, failure!).message.length).toBeLessThan(5_000);
  });
});
