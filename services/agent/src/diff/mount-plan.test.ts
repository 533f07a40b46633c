import { describe, expect, it } from 'vitest';
import { planApply } from './mount-plan.ts';

const overlay = { type: 'overlay', source: 'overlay' };
const bind = { type: 'bind', source: '/snapshots/1/fs' };

describe('planApply', () => {
  it('writes through the upper directory of an overlay', () => {
    const options = ['workdir=/s/3/work', 'upperdir=/s/3/fs', 'lowerdir=/s/2/fs:/s/1/fs', 'index=off'];
    expect(planApply([{ ...overlay, options }])).toEqual({
      kind: 'overlay',
      upper: '/s/3/fs',
      lowers: ['/s/2/fs', '/s/1/fs'],
      opaqueXattr: 'trusted.overlay.opaque',
    });
  });

  it('understands escaped colons, and attributes of users', () => {
    const options = ['upperdir=/a\\:b/fs', 'lowerdir=/c\\:d:/e\\\\f', 'userxattr'];
    expect(planApply([{ ...overlay, options }])).toMatchObject({
      upper: '/a:b/fs',
      lowers: ['/c:d', '/e\\f'],
      opaqueXattr: 'user.overlay.opaque',
    });
  });

  it('writes through the source of a writable bind mount', () => {
    expect(planApply([{ ...bind, options: ['rw', 'rbind'] }])).toEqual({
      kind: 'directory',
      path: '/snapshots/1/fs',
    });
  });

  it.each([
    ['a read-only bind mount', [{ ...bind, options: ['ro', 'rbind'] }]],
    ['an overlay without upper directory', [{ ...overlay, options: ['lowerdir=/a:/b'] }]],
    [
      'several mounts',
      [
        { ...bind, options: [] },
        { ...bind, target: 'x', options: [] },
      ],
    ],
    ['a mount with a target', [{ ...bind, target: 'x', options: [] }]],
    ['another type', [{ type: 'erofs', source: '/x', options: [] }]],
  ])('has %s mounted', (_, mounts) => {
    expect(planApply(mounts)).toEqual({ kind: 'mounts', mounts });
  });

  it('refuses to apply onto nothing', () => {
    expect(() => planApply([])).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
  });
});
