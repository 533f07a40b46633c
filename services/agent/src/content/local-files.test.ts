import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LongshoreError, notFound, unavailable } from '@longshore/errors';
import { createLogger } from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { LocalFiles } from './local-files.ts';

const BLOB = randomBytes(2_000_000);
const digest = digestOf(BLOB);

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

/** Files of a content service that says where they are, or throws. */
async function start() {
  const path = join(await scratchDirectory(), 'blob');
  await writeFile(path, BLOB);
  const asked: string[] = [];
  const service = { answer: async (): Promise<string> => path };
  const locate = (namespace: string) => {
    asked.push(namespace);
    return service.answer();
  };
  const files = new LocalFiles({ locate, doubt: async () => undefined }, createLogger('agent', 'silent'));
  onTestFinished(() => files[Symbol.asyncDispose]());
  const find = async () => (await files.find('default', digest, BLOB.length))?.path;
  return { files, find, asked, service, path };
}

describe('LocalFiles', () => {
  it('asks once for all who read, and again while the blob is in use', async () => {
    const { find, asked, service, path } = await start();
    expect(await Promise.all([find(), find(), find()])).toEqual([path, path, path]);
    expect(asked).toEqual(['default']);
    vi.advanceTimersByTime(61_000);
    const elsewhere = `${path}.2`;
    await writeFile(elsewhere, BLOB);
    service.answer = async () => elsewhere;
    expect(await find()).toBe(elsewhere);
    expect(asked).toHaveLength(2);
  });

  it('leaves to the service what is not a file here, and does not ask for each read', async () => {
    const { find, asked, service } = await start();
    service.answer = async () => '/nowhere/blob';
    expect(await find()).toBeUndefined();
    expect(await find()).toBeUndefined();
    expect(asked).toHaveLength(1);
  });

  it('goes on with an open file while nobody can say where it is', async () => {
    const { find, service, path } = await start();
    await find();
    service.answer = () => Promise.reject(unavailable('content'));
    vi.advanceTimersByTime(61_000);
    expect(await find()).toBe(path);
  });

  it.each([
    ['was deleted', notFound('content')],
    ['is in quarantine', new LongshoreError('DataLoss', 'content: data loss')],
  ])('gives a file up whose blob %s', async (_, error) => {
    const { find, service } = await start();
    await find();
    service.answer = () => Promise.reject(error);
    vi.advanceTimersByTime(61_000);
    expect(await find()).toBeUndefined();
  });

  it('gives a file up that was found to be wrong, for a while', async () => {
    const { files, find, path } = await start();
    await find();
    await files.reject('default', digest);
    expect(await find()).toBeUndefined();
    vi.advanceTimersByTime(61_000);
    expect(await find()).toBe(path);
  });

  it('closes files that nobody reads any more', async () => {
    const { files } = await start();
    const file = await files.find('default', digest, BLOB.length);
    expect(await file?.read(0, 1)).toHaveLength(1);
    vi.advanceTimersByTime(130_000);
    await vi.waitFor(async () => expect(await file?.read(0, 1)).toBeUndefined());
  });
});
