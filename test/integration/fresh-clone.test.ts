import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { cgroupParentOf } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../architecture/sources.ts';
import { leftovers } from '../harness/leftovers.ts';

/** Longer than a unix socket's path may be, when something is put below it. */
const LONG_PATH_LENGTH = 100;
const SKIPPED = new Set(['node_modules', '.git']);

let home: string;
let clone: string;
let states: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'longshore-home-'));
  await chmod(home, 0o700);
  clone = join(
    home,
    'a-directory-with-a-long-name-'.padEnd(LONG_PATH_LENGTH - home.length, 'x'),
    'longshore',
  );
  await mkdir(clone, { recursive: true });
  await cp(REPOSITORY, clone, { recursive: true, filter: (path) => !SKIPPED.has(basename(path)) });
  states = await mkdtemp('/run/longshore-test-clone-');
});
afterAll(async () => {
  await rm(home, { recursive: true, force: true });
  await rm(states, { recursive: true, force: true });
});

function npmStart(name: string, command: readonly string[]): ChildProcess {
  const root = join(tmpdir(), `${basename(states)}-${name}`);
  const args = ['start', '--', '--once', '--root', root, '--state', join(states, name), ...command];
  return spawn('npm', args, { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [code, out, err] = await Promise.all([exited, text(child.stdout!), text(child.stderr!)]);
  return { code, output: out + err };
}

describe('a fresh clone below a 0700 home, in a long path, without a terminal', () => {
  it('sets itself up for two starts at once, which show their container and its events, end as it did, and leave nothing', async () => {
    expect(clone.length).toBeGreaterThan(LONG_PATH_LENGTH);
    const [one, two] = await Promise.all([
      outcome(npmStart('one', [])),
      outcome(npmStart('two', ['--', 'sh', '-c', 'echo to stderr >&2; exit 7'])),
    ]);
    expect(one.code, one.output).toBe(0);
    expect(one.output).toContain('container | Hello from a container');
    for (const topic of ['/images/create', '/tasks/start', '/tasks/exit'])
      expect(one.output).toContain(topic);
    expect(two.code, two.output).toBe(7);
    expect(two.output).toContain('container | to stderr');
    for (const name of ['one', 'two']) {
      const state = join(states, name);
      const root = join(tmpdir(), `${basename(states)}-${name}`);
      const socket = join(state, 'longshore.sock');
      expect(leftovers({ root, state, socket, cgroupParent: cgroupParentOf(state) })).toEqual([]);
      await rm(root, { recursive: true, force: true });
    }
  });
});
