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

function npmStart(name: string): ChildProcess {
  const root = join(tmpdir(), `${basename(states)}-${name}`);
  const args = ['start', '--', '--once', '--root', root, '--state', join(states, name)];
  return spawn('npm', args, { cwd: clone, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function outcome(child: ChildProcess): Promise<{ code: number | null; output: string }> {
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const [code, out, err] = await Promise.all([exited, text(child.stdout!), text(child.stderr!)]);
  return { code, output: out + err };
}

describe('a fresh clone below a 0700 home, in a long path, without a terminal', () => {
  it('sets itself up for two starts at once, both of which run their container and leave nothing', async () => {
    expect(clone.length).toBeGreaterThan(LONG_PATH_LENGTH);
    const names = ['one', 'two'];
    const outcomes = await Promise.all(names.map((name) => outcome(npmStart(name))));
    for (const { code, output } of outcomes) {
      expect(code, output).toBe(0);
      expect(output).toContain('container | Hello from a container');
    }
    for (const name of names) {
      const state = join(states, name);
      const root = join(tmpdir(), `${basename(states)}-${name}`);
      const socket = join(state, 'longshore.sock');
      expect(leftovers({ root, state, socket, cgroupParent: cgroupParentOf(state) })).toEqual([]);
      await rm(root, { recursive: true, force: true });
    }
  });
});
