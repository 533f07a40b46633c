import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Bundle } from './bundle.ts';
import { descendants, endShimProcesses, killSame } from './shim-processes.ts';
import { isRunning } from './testing/is-running.ts';

let directory: string;
let bundle: Bundle;
let children: ChildProcess[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'shim-processes-'));
  bundle = new Bundle({ stateDir: directory, rootDir: directory }, 'default', 'web');
  mkdirSync(bundle.path, { recursive: true });
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

/** A process that was called as a shim is. */
function call(id: string, cwd: string, action: string): number {
  const script = 'setTimeout(() => undefined, 100_000)';
  const child = spawn(process.execPath, ['-e', script, '--', '-id', id, action], { cwd, stdio: 'ignore' });
  children.push(child);
  return child.pid!;
}

it('ends the shim of a bundle and a start that is under way, of which no address is known, and nobody else', async () => {
  const mine = [call('web', bundle.path, ''), call('web', bundle.path, 'start')];
  const others = [call('other', bundle.path, 'start'), call('web', directory, 'start')];
  expect(await endShimProcesses(bundle)).toBe(true);
  expect(mine.filter(isRunning)).toEqual([]);
  expect(others.filter(isRunning)).toEqual(others);
});

it('ends what a process has started, and nothing that has its pid later', async () => {
  const parent = spawn('/bin/sh', ['-c', 'sleep 1000 & wait'], { stdio: 'ignore' });
  children.push(parent);
  await expect.poll(() => descendants(parent.pid!), { timeout: 10_000 }).toHaveLength(1);
  const [child] = descendants(parent.pid!);
  killSame({ ...child!, started: '1' });
  expect(isRunning(child!.pid)).toBe(true);
  killSame(child!);
  await expect.poll(() => isRunning(child!.pid), { timeout: 10_000 }).toBe(false);
});
