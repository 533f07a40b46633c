import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mountAll, readMountInfo } from '@longshore/linux';
import { expect, it } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { clearMountPoints, makeMountPoint } from './mount-points.ts';

it('clears what a killed process left mounted, and leaves alone what was mounted', async () => {
  const scratch = await scratchDirectory();
  const [directory, source] = [join(scratch, 'tmp'), join(scratch, 'source')];
  await clearMountPoints(directory);
  await mkdir(join(source, 'inner'), { recursive: true });
  await writeFile(join(source, 'file'), 'kept');
  const mountPoint = await makeMountPoint(directory);
  const tmpfs = { type: 'tmpfs', source: 'tmpfs', target: 'inner', options: [] };
  await mountAll([{ type: 'bind', source, options: ['rbind', 'rw'] }, tmpfs], mountPoint);
  await clearMountPoints(directory);
  expect(await readdir(directory)).toEqual([]);
  expect(readMountInfo().filter((info) => info.mountPoint.startsWith(directory))).toEqual([]);
  expect(await readFile(join(source, 'file'), 'utf8')).toBe('kept');
});
