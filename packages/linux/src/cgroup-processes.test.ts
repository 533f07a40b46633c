import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupHierarchies, removeCgroup } from './cgroup.ts';
import { cgroupState, killCgroup, thawCgroup } from './cgroup-processes.ts';

const group = `/longshore-test-processes-${process.pid}`;
const CGROUP2_MAGIC = 0x63677270;

/** The ways to freeze that this host has. */
const FREEZERS = cgroupHierarchies().flatMap((hierarchy) => {
  if (statfsSync(hierarchy).type === CGROUP2_MAGIC)
    return [{ hierarchy, file: 'cgroup.freeze', frozen: '1' }];
  const isFreezer = hierarchy.endsWith('/freezer');
  return isFreezer ? [{ hierarchy, file: 'freezer.state', frozen: 'FROZEN' }] : [];
});

let children: ChildProcess[];

beforeEach(() => {
  children = [];
});

afterEach(async () => {
  thawCgroup(group);
  for (const child of children) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await removeCgroup(group);
});

function processIn(hierarchy: string, path: string): number {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  children.push(child);
  mkdirSync(join(hierarchy, path), { recursive: true });
  writeFileSync(join(hierarchy, path, 'cgroup.procs'), String(child.pid));
  return child.pid!;
}

describe.each(FREEZERS)('processes of a control group ($file)', ({ hierarchy, file, frozen }) => {
  it('are found, said to be frozen, and let go', async () => {
    expect(cgroupState(group)).toBe('absent');
    processIn(hierarchy, `${group}/inner`);
    expect(cgroupState(group)).toBe('running');
    writeFileSync(join(hierarchy, group, 'inner', file), frozen);
    expect(cgroupState(group)).toBe('frozen');
    thawCgroup(group);
    expect(cgroupState(group)).toBe('running');
  });

  it('are killed though they are frozen, and though they have children', async () => {
    const pids = [processIn(hierarchy, group), processIn(hierarchy, `${group}/inner`)];
    writeFileSync(join(hierarchy, group, file), frozen);
    await expect.poll(() => cgroupState(group)).toBe('frozen');
    await killCgroup(group);
    expect(cgroupState(group)).toBe('empty');
    for (const pid of pids) await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  });
});

describe('killCgroup', () => {
  it('finds nothing to do for a group that is not there', async () => {
    await killCgroup(group);
  });

  it.each(['/', '/a/../..', 'relative'])('refuses %s', async (path) => {
    await expect(killCgroup(path)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });
});
