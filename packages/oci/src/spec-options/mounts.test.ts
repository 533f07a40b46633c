import { describe, expect, it } from 'vitest';
import { defaultSpec } from './default-spec.ts';
import { withDevShmSize, withMounts, withoutMounts, withoutRunMount, withWriteableSysfs } from './mounts.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

const base = defaultSpec({ namespace: 'default', id: 'web' });

function mountsAfter(...options: SpecOption[]) {
  return applySpecOptions(base, ...options).mounts ?? [];
}

describe('mounts', () => {
  it('are added behind the others', () => {
    const data = { destination: '/data', type: 'bind', source: '/srv/data', options: ['rbind'] };
    expect(mountsAfter(withMounts([data])).at(-1)).toEqual(data);
  });

  it('are taken away by their place, however it is spelt', () => {
    const odd = withMounts([{ destination: '/data//x/../' }]);
    const places = mountsAfter(odd, withoutMounts(['/data', '/sys/']), withoutRunMount);
    expect(places.map(({ destination }) => destination)).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/dev/shm',
      '/dev/mqueue',
    ]);
  });

  it('of sysfs become writeable', () => {
    const sysfs = mountsAfter(withWriteableSysfs).find(({ type }) => type === 'sysfs');
    expect(sysfs?.options).toEqual(['nosuid', 'noexec', 'nodev', 'rw']);
  });

  it('of shared memory get another size', () => {
    const shm = mountsAfter(withDevShmSize(1024)).find(({ source }) => source === 'shm');
    expect(shm?.options?.filter((option) => option.startsWith('size='))).toEqual(['size=1024k']);
    expect(() => mountsAfter(withoutMounts(['/dev/shm']), withDevShmSize(1))).toThrow(
      'no mount of shared memory',
    );
  });
});
