import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { AT_FDCWD, mknodat } from '@longshore/linux';
import { expect, it, onTestFinished } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { KeptOutput } from './kept-output.ts';
import { readLog } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';

it('reads what is there before it gives up, though the thread was held up for longer than it waits', async () => {
  const directory = await scratchDirectory();
  const stdout = join(directory, 'stdout');
  mknodat(AT_FDCWD, stdout, constants.S_IFIFO | 0o600, 0);
  const writer = new LogWriter({
    directory: join(directory, 'log'),
    limits: { fileBytes: 10 * 1024 ** 2, files: 2 },
    onDropped: () => expect.fail('dropped'),
    log: createLogger('test', 'silent'),
  });
  const output = new KeptOutput({ stdin: '', stdout, stderr: '' }, writer);
  onTestFinished(() => output.close());
  // It is left open, so that there is no end to be heard of.
  const process = openSync(stdout, constants.O_WRONLY | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(process));
  const written = `${'x'.repeat(99)}\n`.repeat(9_000);
  expect(writeSync(process, written)).toBe(written.length);
  const settled = output.settled(20);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
  await settled;
  output.close();
  const query = { streams: new Set(['stdout'] as const), follow: false };
  let text = '';
  for await (const outputs of readLog(writer, query, new AbortController().signal)) {
    text += outputs.map(({ data }) => data.toString()).join('');
  }
  expect(text === written).toBe(true);
});
