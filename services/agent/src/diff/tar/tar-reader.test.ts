import { describe, expect, it } from 'vitest';
import {
  archive,
  directory,
  END,
  file,
  header,
  padded,
  paxHeader,
  symlink,
  withChecksum,
} from '../testing/layers.ts';
import type { TarEntry } from './tar-entry.ts';
import { TarReader } from './tar-reader.ts';

interface Read {
  entry: TarEntry;
  data: string;
}

function read(bytes: Buffer, chunkBytes = bytes.length): Read[] {
  const members: Read[] = [];
  const reader = new TarReader({
    entry: (entry) => members.push({ entry, data: '' }),
    data: (piece, position) => {
      const member = members.at(-1)!;
      member.data = member.data.padEnd(position, '·') + piece.toString('latin1');
    },
    end: () => {},
  });
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    reader.push(bytes.subarray(offset, offset + chunkBytes));
  }
  reader.finish();
  return members;
}

function readOne(...parts: Buffer[]): Read {
  const members = read(Buffer.concat([...parts, END]));
  expect(members).toHaveLength(1);
  return members[0]!;
}

describe('TarReader', () => {
  it('gives the same members, however the archive is cut into chunks', async () => {
    const long = `${'directory/'.repeat(30)}file`;
    const bytes = await archive(
      file('empty', ''),
      directory('dir/'),
      file(long, 'x'.repeat(1500)),
      symlink('link', 'target'.repeat(30)),
      file('exact', 'y'.repeat(512)),
    );
    const whole = read(bytes);
    expect(whole.map(({ entry }) => entry.name)).toEqual(['empty', 'dir/', long, 'link', 'exact']);
    expect(whole.map(({ data }) => data.length)).toEqual([0, 0, 1500, 0, 512]);
    expect(whole[3]?.entry.linkName).toBe('target'.repeat(30));
    for (const chunkBytes of [1, 7, 511, 512, 513, 1000]) expect(read(bytes, chunkBytes)).toEqual(whole);
  });

  it('keeps names and attributes byte for byte', () => {
    const value = Buffer.from([1, 0, 0, 2, 0x80, 0xff, 0x0a, 0]);
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    const { entry } = readOne(
      paxHeader(['path', name], ['SCHILY.xattr.security.capability', value]),
      header({ name: 'short', type: '0' }),
    );
    expect(Buffer.from(entry.name, 'latin1')).toEqual(name);
    expect(entry.xattrs).toEqual([['security.capability', value]]);
  });

  it('takes times with nanoseconds, owners and sizes from pax records', () => {
    const { entry, data } = readOne(
      paxHeader(
        ['mtime', '-1.25'],
        ['atime', '1700000000.123456789123'],
        ['uid', '4294967294'],
        ['gid', '70000'],
        ['size', '3'],
      ),
      header({ name: 'a', type: '0' }),
      padded(Buffer.from('abc')),
    );
    expect(entry).toMatchObject({
      uid: 4294967294,
      gid: 70000,
      mtime: { seconds: -2, nanoseconds: 750_000_000 },
      atime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
    });
    expect(data).toBe('abc');
  });

  it('forgets extended headers after the member that they are for', () => {
    const members = read(
      Buffer.concat([
        paxHeader(['path', 'renamed'], ['SCHILY.xattr.user.a', 'b']),
        header({ name: 'first', type: '0' }),
        header({ name: 'second', type: '0' }),
        END,
      ]),
    );
    expect(members.map(({ entry }) => entry.name)).toEqual(['renamed', 'second']);
    expect(members[1]?.entry.xattrs).toEqual([]);
  });

  it('heeds the last of several extended headers, and none before a header of the whole archive', () => {
    const first = paxHeader(['path', 'first'], ['SCHILY.xattr.user.a', 'b'.repeat(1000)]);
    const { entry } = readOne(first, first, paxHeader(['uid', '5']), header({ name: 'name', type: '0' }));
    expect(entry).toMatchObject({ name: 'name', uid: 5, xattrs: [] });
    const after = readOne(first, header({ name: 'g', type: 'g' }), header({ name: 'name', type: '0' }));
    expect(after.entry).toMatchObject({ name: 'name', xattrs: [] });
  });

  it('prefers pax to GNU to the block for a name, and ignores records for the whole archive', () => {
    const gnu = Buffer.concat([
      header({ name: 'L', type: 'L', sizeBytes: 9 }),
      padded(Buffer.from('gnu-name\0')),
    ]);
    const global = paxHeader(['path', 'global']);
    global.write('g', 156);
    withChecksum(global.subarray(0, 512));
    const block = header({ name: 'block', type: '0' });
    expect(readOne(global, gnu, block).entry.name).toBe('gnu-name');
    expect(readOne(paxHeader(['path', 'pax-name']), gnu, block).entry.name).toBe('pax-name');
    expect(readOne(paxHeader(['path', '']), block).entry.name).toBe('block');
  });

  it('joins the prefix of ustar, and finds directories of old archives by their slash', () => {
    const ustar = header({ name: 'name', type: '0' });
    ustar.write('some/prefix', 345);
    expect(readOne(withChecksum(ustar)).entry.name).toBe('some/prefix/name');
    expect(readOne(header({ name: 'old/', type: '\0', magic: '' })).entry.type).toBe('directory');
    expect(readOne(header({ name: 'old', type: '\0', magic: '' })).entry.type).toBe('file');
  });

  it('reads numbers in base 256', () => {
    const block = header({ name: 'a', type: '5' });
    block.fill(0, 108, 116);
    block[108] = 0x80;
    block.writeUInt32BE(3_000_000_000, 112);
    expect(readOne(withChecksum(block)).entry.uid).toBe(3_000_000_000);
    block.fill(0xff, 136, 148);
    expect(readOne(withChecksum(block)).entry.mtime).toEqual({ seconds: -1, nanoseconds: 0 });
  });

  it('takes no data for a link or directory, whatever its size field says', () => {
    const members = read(
      Buffer.concat([
        header({ name: 'link', type: '1', linkName: 'x', sizeBytes: 1000 }),
        header({ name: 'next', type: '5', sizeBytes: 512 }),
        END,
      ]),
    );
    expect(members.map(({ entry }) => entry.name)).toEqual(['link', 'next']);
  });

  it('stops at the end of the archive, whatever follows', async () => {
    const one = await archive(file('one'));
    expect(read(Buffer.concat([one, await archive(file('two'))])).map(({ entry }) => entry.name)).toEqual([
      'one',
    ]);
    expect(read(Buffer.concat([one, Buffer.from('rubbish')]))).toHaveLength(1);
  });

  it('accepts an archive without its end, or without the last padding', async () => {
    const one = await archive(file('one', 'abc'));
    expect(read(one.subarray(0, 1024))).toHaveLength(1);
    expect(read(one.subarray(0, 515))[0]?.data).toBe('abc');
    expect(read(Buffer.alloc(0))).toEqual([]);
  });
});

describe('TarReader on sparse files', () => {
  const regions = ['GNU.sparse.numblocks', 'GNU.sparse.map'] as const;

  it('puts the data of formats 0.x where the map says', () => {
    const { entry, data } = readOne(
      paxHeader(
        [regions[0], '2'],
        [regions[1], '4,2,10,3'],
        ['GNU.sparse.size', '20'],
        ['GNU.sparse.name', 'holes'],
      ),
      header({ name: 'GNUSparseFile.0/holes', type: '0', sizeBytes: 5 }),
      padded(Buffer.from('abcde')),
    );
    expect(entry).toMatchObject({ name: 'holes', sizeBytes: 20, sparse: true });
    expect(data).toBe('····ab····cde');
  });

  it('reads the map of format 1.0 in front of the data', () => {
    const map = padded(Buffer.from('2\n4\n2\n10\n3\n'));
    const { entry, data } = readOne(
      paxHeader(
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.realsize', '20'],
        ['GNU.sparse.name', 'holes'],
      ),
      header({ name: 'GNUSparseFile.0/holes', type: '0', sizeBytes: 512 + 5 }),
      map,
      padded(Buffer.from('abcde')),
    );
    expect(entry).toMatchObject({ name: 'holes', sizeBytes: 20, sparse: true });
    expect(data).toBe('····ab····cde');
  });

  it.each([
    ['overlapping', '4,2,5,3'],
    ['beyond the end', '4,2,18,3'],
    ['of another sum', '4,2,10,2'],
    ['of an odd length', '4,2,10'],
    ['without numbers', 'a,b'],
    ['of hundreds of thousands of regions', '1,0,'.repeat(200_000)],
  ])('refuses a map %s', (_, map) => {
    const bytes = Buffer.concat([
      paxHeader([regions[0], '2'], [regions[1], map], ['GNU.sparse.size', '20']),
      header({ name: 'holes', type: '0', sizeBytes: 5 }),
      padded(Buffer.from('abcde')),
      END,
    ]);
    expect(() => read(bytes)).toThrow(/sparse map/);
  });
});

describe('TarReader on damaged archives', () => {
  const refusals: [string, () => Buffer, RegExp][] = [
    [
      'a wrong checksum',
      () => Buffer.concat([header({ name: 'a', type: '0' }).fill('b', 0, 1), END]),
      /checksum/,
    ],
    ['an unknown type', () => header({ name: 'a', type: 'M' }), /unknown type "M"/],
    [
      'a number that is none',
      () => withChecksum(header({ name: 'a', type: '0' }).fill('9', 124, 130)),
      /octal/,
    ],
    [
      'a size beyond all',
      () => withChecksum(header({ name: 'a', type: '0' }).fill(0xbf, 124, 136)),
      /53 bits/,
    ],
    [
      'a negative size',
      () => withChecksum(header({ name: 'a', type: '0' }).fill(0xff, 124, 136)),
      /negative size/,
    ],
    ['an end in a member', () => header({ name: 'a', type: '0', sizeBytes: 5 }), /ends inside or after "a"/],
    ['an end in a header', () => header({ name: 'a', type: '0' }).subarray(0, 100), /ends inside a header/],
    ['an end after an extended header', () => paxHeader(['path', 'x']), /ends inside or after/],
    [
      'a lone block of zeros',
      () => Buffer.concat([Buffer.alloc(512), header({ name: 'a', type: '0' })]),
      /lone/,
    ],
    [
      'an endless extended header',
      () => header({ name: 'a', type: 'x', sizeBytes: 2 ** 30 }),
      /extended header of/,
    ],
    [
      'a NUL in a pax name',
      () => Buffer.concat([paxHeader(['path', 'a\0b']), header({ name: 'a', type: '0' })]),
      /NUL/,
    ],
    [
      'an owner beyond 32 bits',
      () => Buffer.concat([paxHeader(['uid', '4294967295']), header({ name: 'a', type: '0' })]),
      /owner/,
    ],
    [
      'a pax record that overruns',
      () => Buffer.concat([header({ name: 'p', type: 'x', sizeBytes: 9 }), padded(Buffer.from('99 path=a'))]),
      /malformed pax/,
    ],
  ];

  it.each(refusals)('refuses %s', (_, bytes, message) => {
    expect(() => read(bytes())).toThrow(message);
    expect(() => read(bytes())).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
  });
});
