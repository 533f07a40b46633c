import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { kindOf } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { applySpecOptions, type SpecOption } from './spec-option.ts';
import type { UserFiles } from './user-database.ts';
import {
  withAdditionalGids,
  withAppendAdditionalGroups,
  withUidGid,
  withUmask,
  withUser,
  withUserId,
  withUsername,
} from './users.ts';

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# a comment
app:x:1000:1001:app:/home/app:/bin/sh

broken:x:none:0::/:/bin/sh
huge:x:4294967296:0::/:/bin/sh
twin:x:1000:7::/:/bin/sh
`;
const GROUP = `root:x:0:
app:x:1001:app
staff:x:50:app,root
wheel:x:10:root,app
broken:x:-1:app
`;
const files: UserFiles = { passwd: () => PASSWD, group: () => GROUP };
const none: UserFiles = { passwd: () => undefined, group: () => undefined };
const unread: UserFiles = {
  passwd: () => expect.fail('passwd was read'),
  group: () => expect.fail('group was read'),
};

function userAfter(...options: SpecOption[]) {
  return applySpecOptions({ ociVersion: '1.1.0' }, ...options).process?.user;
}

function kindAfter(text: string, which: UserFiles = files) {
  try {
    return userAfter(withUser(text, which));
  } catch (error) {
    return kindOf(error);
  }
}

describe('withUser', () => {
  it.each<[string, number, number]>([
    ['app', 1000, 1001],
    ['1000', 1000, 1001],
    ['4242', 4242, 0],
    ['app:staff', 1000, 50],
    ['app:7', 1000, 7],
    ['4242:staff', 4242, 50],
    ['4242:4343', 4242, 4343],
    ['app:', 1000, 0],
    [':staff', 0, 50],
    ['2147483647', 2147483647, 0],
  ])('finds %s', (text, uid, gid) => {
    expect(userAfter(withUser(text, files))).toEqual({ uid, gid, additionalGids: [gid] });
  });

  it.each([
    ['', 'InvalidArgument'],
    ['-1', 'InvalidArgument'],
    ['2147483648', 'InvalidArgument'],
    ['4294967296', 'InvalidArgument'],
    ['0:99999999999999999999', 'InvalidArgument'],
    ['a:b:c', 'InvalidArgument'],
    ['nobody-here', 'NotFound'],
    ['app:no-group', 'NotFound'],
    ['broken', 'NotFound'],
    ['huge', 'NotFound'],
  ])('refuses %j as %s', (text, kind) => {
    expect(kindAfter(text)).toBe(kind);
  });

  it('needs no files for numbers, and none to be there for a lone one', () => {
    expect(userAfter(withUser('5:6', unread))).toEqual({ uid: 5, gid: 6, additionalGids: [6] });
    expect(userAfter(withUser('5', none))).toEqual({ uid: 5, gid: 0, additionalGids: [0] });
    expect(kindAfter('app', none)).toBe('NotFound');
  });

  it('forgets the groups of another user', () => {
    const before = [withUidGid(1, 2), withAppendAdditionalGroups(['9'], none)];
    expect(userAfter(...before, withUserId(1000, files))?.additionalGids).toEqual([1001]);
  });
});

describe("a hostile image's files", () => {
  it.each([
    ['passwd', 'nobody-here', 'NotFound'],
    ['group', '0:nobody-here', 'NotFound'],
  ])('%s of millions of lines take little memory', async (file, user, kind) => {
    const module = JSON.stringify(new URL('./users.ts', import.meta.url).href);
    const code = `
      const { parentPort } = require('node:worker_threads');
      const text = '\\n'.repeat(8 * 1024 * 1024);
      import(${module}).then(({ withUser }) => {
        try {
          withUser('${user}', { passwd: () => '', group: () => '', ${file}: () => text })({ ociVersion: '1.1.0' });
        } catch (error) {
          parentPort.postMessage(error.kind);
        }
      });
    `;
    const worker = new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 64 } });
    const [answer] = await once(worker, 'message');
    expect(answer).toBe(kind);
  });
});

describe('withAdditionalGids', () => {
  it('lists the groups that name the user, by name or id, with the main one first', () => {
    const gids = [1001, 50, 10];
    expect(userAfter(withUsername('app', files), withAdditionalGids('app', files))?.additionalGids).toEqual(
      gids,
    );
    expect(userAfter(withUserId(1000, files), withAdditionalGids('1000', files))?.additionalGids).toEqual(
      gids,
    );
  });

  it('has but the main group for a user or files that are not there', () => {
    expect(userAfter(withUidGid(7, 8), withAdditionalGids('7', files))?.additionalGids).toEqual([8]);
    expect(userAfter(withUidGid(7, 8), withAdditionalGids('root', none))?.additionalGids).toEqual([8]);
  });
});

describe('withAppendAdditionalGroups', () => {
  it('adds groups by id and name', () => {
    expect(
      userAfter(withUidGid(7, 8), withAppendAdditionalGroups(['wheel', '99'], files))?.additionalGids,
    ).toEqual([8, 10, 99]);
  });

  it('refuses a name that is not there', () => {
    expect(() => userAfter(withAppendAdditionalGroups(['wheeel'], files))).toThrow(
      `group "wheeel" in the container's /etc/group: not found`,
    );
  });
});

describe('withUmask', () => {
  it('leaves the user alone', () => {
    expect(userAfter(withUidGid(7, 8), withUmask(0o27))).toEqual({
      uid: 7,
      gid: 8,
      additionalGids: [8],
      umask: 0o27,
    });
  });
});
