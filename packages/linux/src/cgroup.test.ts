import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { cgroupHierarchies, cgroupMode, removeCgroup } from './cgroup.ts';

const group = `/longshore-test-${process.pid}`;

function everywhere(...path: string[]): string[] {
  return cgroupHierarchies().map((hierarchy) => join(hierarchy, group, ...path));
}

afterEach(async () => {
  await removeCgroup(group);
});

describe('cgroupMode', () => {
  it('agrees with the mounted hierarchies', () => {
    const types = new Set(cgroupHierarchies().map((path) => statfsSync(path).type));
    const byMounts = types.size > 1 ? 'hybrid' : types.has(0x63677270) ? 'unified' : 'legacy';
    expect(cgroupMode()).toBe(byMounts);
  });
});

describe('removeCgroup', () => {
  it('removes a group and those below it in every hierarchy', async () => {
    for (const directory of everywhere('inner', 'most')) mkdirSync(directory, { recursive: true });
    await removeCgroup(group);
    for (const directory of everywhere()) expect(existsSync(directory), directory).toBe(false);
  });

  it('finds nothing to do for a group that is not there', async () => {
    await removeCgroup(group);
  });

  it('waits for the last process, and kills none', async () => {
    const [directory] = everywhere();
    mkdirSync(directory!);
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      writeFileSync(join(directory!, 'cgroup.procs'), String(child.pid));
      await expect(removeCgroup(group, { timeoutMs: 20 })).rejects.toMatchObject({
        kind: 'FailedPrecondition',
      });
      expect(child.exitCode).toBeNull();
      const removal = removeCgroup(group, { timeoutMs: 10_000 });
      child.kill('SIGKILL');
      await removal;
    } finally {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    expect(existsSync(directory!)).toBe(false);
  });

  it.each(['/', '/..', 'relative', '/a/../..', '/a//b', '/a/'])('refuses %s', async (path) => {
    await expect(removeCgroup(path)).rejects.toMatchObject({ kind: 'InvalidArgument' });
  });
});
