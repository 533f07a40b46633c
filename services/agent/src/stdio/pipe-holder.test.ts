import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, mknodat } from '@longshore/linux';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { OutputReader } from './output-reader.ts';
import { holdOpen, letGo } from './pipe-holder.ts';

const SOON = { timeout: 10_000, interval: 10 };

let directory: string;
let fifo: string;

beforeEach(async () => {
  directory = await scratchDirectory();
  fifo = join(directory, 'stdout');
  mknodat(AT_FDCWD, fifo, constants.S_IFIFO | 0o600, 0);
  holdOpen(directory, [fifo], (error) => expect.fail(error.message));
  onTestFinished(() => letGo(directory));
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  writeSync(writer, 'last words');
  closeSync(writer);
});

/** What a reader has heard so far, and its end. */
function listen(): { heard: () => string; reader: OutputReader } {
  const reader = new OutputReader(fifo);
  onTestFinished(() => reader.close());
  reader.release();
  let text = '';
  void (async () => {
    for await (const chunk of reader) text += chunk.toString();
    text += '.';
  })();
  return { heard: () => text, reader };
}

describe('fifos that are held open', () => {
  it('tell their reader of their end, though they are held', async () => {
    const { heard } = listen();
    await expect.poll(heard, SOON).toBe('last words.');
  });

  it('have for the next reader what nobody has read', async () => {
    new OutputReader(fifo).close();
    const { heard } = listen();
    await expect.poll(heard, SOON).toBe('last words.');
  });
});
