import { describe, expect, it } from 'vitest';
import { MountFlag, parseMountOptions } from './mount-options.ts';

describe('parseMountOptions', () => {
  it('turns words into flags and leaves the rest, in order, as data', () => {
    expect(parseMountOptions(['ro', 'nosuid', 'mode=755', 'nodev', 'size=1m'])).toEqual({
      flags: MountFlag.ReadOnly | MountFlag.NoSuid | MountFlag.NoDev,
      propagation: 0,
      data: 'mode=755,size=1m',
      idMap: undefined,
    });
  });

  it('lets the last word about a flag win', () => {
    expect(parseMountOptions(['ro', 'rw']).flags).toBe(0);
    expect(parseMountOptions(['exec', 'noexec']).flags).toBe(MountFlag.NoExec);
  });

  it('ignores defaults, and takes no word for a flag that it is not', () => {
    expect(parseMountOptions(['defaults', 'constructor'])).toEqual({
      flags: 0,
      propagation: 0,
      data: 'constructor',
      idMap: undefined,
    });
  });

  it('keeps propagation apart', () => {
    expect(parseMountOptions(['rbind', 'rslave'])).toMatchObject({
      flags: MountFlag.Bind | MountFlag.Recursive,
      propagation: MountFlag.Slave | MountFlag.Recursive,
    });
  });

  it('keeps id mappings apart, which come in pairs', () => {
    const options = ['uidmap=0:1000:1,5:9:2', 'ro', 'gidmap=0:7:1'];
    expect(parseMountOptions(options)).toMatchObject({
      idMap: { uids: '0:1000:1,5:9:2', gids: '0:7:1' },
      data: '',
    });
    expect(() => parseMountOptions(['uidmap=0:1000:1'])).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument' }),
    );
  });

  it('says that a loop device is not implemented', () => {
    expect(() => parseMountOptions(['loop'])).toThrow(expect.objectContaining({ kind: 'Unimplemented' }));
  });
});
