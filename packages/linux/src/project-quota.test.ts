import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mountAll, unmountRecursive } from './mount.ts';
import { limitProject } from './project-quota.ts';

const IMAGE_BYTES = 64 * 1024 ** 2;
/** The same for two projects: the second one finds the first one's id taken. */
const SEED = 7;

let scratch: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'longshore-quota-'));
});

afterEach(async () => {
  await unmountRecursive(scratch);
  rmSync(scratch, { recursive: true });
});

function directory(...path: string[]): string {
  const name = join(scratch, ...path);
  mkdirSync(name, { recursive: true });
  return name;
}

/** False where this kernel keeps no quotas on ext4. */
function mountedWithQuotas(target: string): boolean {
  const image = join(scratch, 'image');
  writeFileSync(image, '');
  truncateSync(image, IMAGE_BYTES);
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const run = (name: string, ...args: string[]) => spawnSync(name, args, { env }).status === 0;
  const isMade = run('mkfs.ext4', '-q', '-O', 'quota,project', '-E', 'quotatype=prjquota', image);
  return isMade && run('mount', '-o', 'loop,prjquota', image, target);
}

describe('limitProject', () => {
  it('keeps what is below a directory to its limit, and apart from that of others', async ({ skip }) => {
    const mounted = directory('mounted');
    if (!mountedWithQuotas(mounted)) skip('this kernel keeps no quotas of projects');
    for (const name of ['first', 'second']) {
      const project = directory('mounted', name);
      limitProject(project, SEED, 3_000_000n);
      const [upper, work, lower] = ['upper', 'work', 'lower'].map((each) => directory('mounted', name, each));
      const target = directory(name);
      const options = [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lower}`];
      // Written through an overlay, since this process may have the capability to ignore limits.
      await mountAll([{ type: 'overlay', source: 'overlay', options }], target);
      writeFileSync(join(target, 'fits'), Buffer.alloc(1_500_000));
      expect(() => writeFileSync(join(target, 'more'), Buffer.alloc(1_800_000))).toThrow(
        expect.objectContaining({ errno: -122 }),
      );
      for (const each of ['fits', 'more']) rmSync(join(target, each));
      writeFileSync(join(target, 'again'), Buffer.alloc(1_500_000));
    }
  });

  it('says where there are no quotas', async () => {
    const mounted = directory('mounted');
    await mountAll([{ type: 'tmpfs', source: 'tmpfs', options: [] }], mounted);
    expect(() => limitProject(mounted, SEED, 1n)).toThrow(
      expect.objectContaining({ kind: 'FailedPrecondition' }),
    );
  });
});
