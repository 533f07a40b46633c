import { describe, expect, it } from 'vitest';
import { parseMountInfo, readMountInfo } from './mount-info.ts';

describe('parseMountInfo', () => {
  it('reads a line with tags and escapes', () => {
    const line =
      '36 35 98:0 /mnt1 /mnt\\040two\\134x rw,noatime shared:1 master:2 - ext3 /dev/my\\040root rw,errors=continue\n';
    expect(parseMountInfo(line)).toEqual([
      {
        id: 36,
        parentId: 35,
        device: '98:0',
        root: '/mnt1',
        mountPoint: '/mnt two\\x',
        options: ['rw', 'noatime'],
        tags: ['shared:1', 'master:2'],
        type: 'ext3',
        source: '/dev/my root',
        superOptions: ['rw', 'errors=continue'],
      },
    ]);
  });

  it('decodes UTF-8, escaped or not, and a line without tags', () => {
    const bytes = Buffer.from('1 2 0:1 / /é\\303\\251 rw - tmpfs - rw').toString('latin1');
    expect(parseMountInfo(bytes)[0]).toMatchObject({ mountPoint: '/éé', tags: [], source: '-' });
  });

  it('refuses what it does not know', () => {
    expect(() => parseMountInfo('1 2 0:1 / /x rw ext4 /dev/x rw')).toThrow(/unknown form/);
  });
});

describe('readMountInfo', () => {
  it('lists our own mounts', () => {
    expect(readMountInfo().map(({ mountPoint }) => mountPoint)).toContain('/proc');
  });
});
