import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultSpec } from './default-spec.ts';
import {
  withAllDevicesAllowed,
  withDefaultUnixDevices,
  withDevices,
  withParentCgroupDevices,
} from './devices.ts';
import { readHostDevices } from './host-devices.ts';
import { applySpecOptions, type SpecOption } from './spec-option.ts';

const base = defaultSpec({ namespace: 'default', id: 'web' });
const DENIED = { allow: false, access: 'rwm' };

function rulesAfter(...options: SpecOption[]) {
  return applySpecOptions(base, ...options).linux?.resources?.devices;
}

describe('devices', () => {
  it('are made and allowed, with the access that was asked for', () => {
    const fuse = { path: '/dev/fuse', type: 'c', major: 10, minor: 229 } as const;
    const spec = withDevices([fuse], 'rw')(base);
    expect(spec.linux?.devices).toEqual([fuse]);
    const rule = { allow: true, type: 'c', major: 10, minor: 229, access: 'rw' };
    expect(spec.linux?.resources?.devices).toEqual([DENIED, rule]);
  });

  it('that every container has are allowed', () => {
    const numbers = rulesAfter(withDefaultUnixDevices)?.map(({ major, minor }) => [major, minor].join(':'));
    expect(numbers).toEqual([':', '1:3', '1:8', '1:7', '5:0', '1:5', '1:9', '5:1', '136:', '5:2']);
  });

  it('are all allowed, or as the control group above says', () => {
    expect(rulesAfter(withAllDevicesAllowed)).toEqual([{ allow: true, access: 'rwm' }]);
    expect(rulesAfter(withParentCgroupDevices)).toBeUndefined();
  });
});

describe('readHostDevices', () => {
  it('describes a device, also behind a symlink', () => {
    const zero = { path: '/dev/zero', type: 'c', major: 1, minor: 5, fileMode: 0o666, uid: 0, gid: 0 };
    expect(readHostDevices('/dev/zero')).toEqual([zero]);
    const directory = mkdtempSync(join(tmpdir(), 'devices-'));
    try {
      const link = join(directory, 'link');
      symlinkSync('/dev/zero', link);
      expect(readHostDevices(link, '/dev/nil')).toEqual([{ ...zero, path: '/dev/nil' }]);
      expect(readHostDevices(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('finds those of the host, without what is not its own', () => {
    const paths = readHostDevices('/dev').map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining(['/dev/null', '/dev/tty']));
    expect(paths.filter((path) => /^\/dev\/(pts|shm|mqueue|console)/.test(path))).toEqual([]);
  });

  it('refuses what is no device', () => {
    expect(() => readHostDevices('/etc/passwd')).toThrow('"/etc/passwd" is no device');
  });
});
