import { describe, expect, it } from 'vitest';
import { idMappingOf } from './id-mapping.ts';

const labelled = (uids: string, gids = uids) => ({
  'containerd.io/snapshot/uidmapping': uids,
  'containerd.io/snapshot/gidmapping': gids,
});

describe('idMappingOf', () => {
  it('knows who is root, wherever its range stands', () => {
    expect(idMappingOf({ other: 'label' })).toBeUndefined();
    expect(idMappingOf(labelled('5:9:2,0:1000:3', '0:2000:65536'))).toEqual({
      uids: '5:9:2,0:1000:3',
      gids: '0:2000:65536',
      rootUid: 1000,
      rootGid: 2000,
    });
  });

  it.each(['', '0:1000', '1:1000:5', '0:1000:0', '0:-1:5', '0:1:5,', '0:4294967290:10', '0:a:5'])(
    'refuses %j',
    (mapping) => {
      expect(() => idMappingOf(labelled(mapping))).toThrow(
        expect.objectContaining({ kind: 'InvalidArgument' }),
      );
    },
  );

  it('refuses one without the other', () => {
    expect(() => idMappingOf({ 'containerd.io/snapshot/uidmapping': '0:1000:1' })).toThrow(/gidmapping/);
  });
});
