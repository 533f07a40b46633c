import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@longshore/kit';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { scratchDirectory } from '../snapshots/testing/scratch-directory.ts';
import { listLogFiles } from './log-files.ts';
import type { OutputStream } from './log-format.ts';
import { MIN_FILE_BYTES } from './log-limits.ts';
import { type LoggedOutput, type LogQuery, readLog } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';

const BOTH: ReadonlySet<OutputStream> = new Set(['stdout', 'stderr']);
const never = new AbortController().signal;

let directory: string;
let dropped: number;

beforeEach(async () => {
  directory = join(await scratchDirectory(), 'log');
  dropped = 0;
});

function openWriter(fileBytes = MIN_FILE_BYTES, files = 3): LogWriter {
  const writer = new LogWriter({
    directory,
    limits: { fileBytes, files },
    onDropped: (bytes) => {
      dropped += bytes;
    },
    log: createLogger('agent', 'silent'),
  });
  onTestFinished(() => writer.close());
  return writer;
}

async function read(query: Partial<LogQuery> = {}, writer?: LogWriter): Promise<LoggedOutput[]> {
  const batches = await Array.fromAsync(
    readLog({ directory, writer }, { streams: BOTH, follow: false, ...query }, never),
  );
  return batches.flat();
}

async function text(query: Partial<LogQuery> = {}): Promise<string> {
  return Buffer.concat((await read(query)).map(({ data }) => data)).toString();
}

const line = (n: number) => `${String(n).padStart(6, '0')} ${'x'.repeat(92)}\n`;
const lines = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => line(from + n)).join('');

describe('a log', () => {
  it('gives the bytes back that were written, whatever they are and however they were cut', async () => {
    const writer = openWriter(10 * 1024 ** 2);
    const bytes = Buffer.alloc(300_000);
    for (let n = 0; n < bytes.length; n++) bytes[n] = (n * n + (n >> 7)) & 0xff;
    const whole = Buffer.concat([
      Buffer.from('\n\n prompt> '),
      bytes,
      Buffer.alloc(1_000_000, 'y'),
      Buffer.from('\nend without a newline'),
    ]);
    for (let at = 0, size = 1; at < whole.length; at += size, size = (size * 7) % 65_537) {
      writer.write('stdout', whole.subarray(at, at + size));
    }
    const got = Buffer.concat((await read()).map(({ data }) => data));
    expect(got.equals(whole)).toBe(true);
  });

  it("is in CRI's format, in the order of time", () => {
    const writer = openWriter();
    writer.write('stdout', Buffer.from('one\ntw'));
    writer.write('stderr', Buffer.from('oops\n'));
    writer.write('stdout', Buffer.from('o\n'));
    const entries = readFileSync(listLogFiles(directory)[0]!.path, 'utf8').trimEnd().split('\n');
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /;
    expect(entries.every((entry) => time.test(entry))).toBe(true);
    expect(entries.map((entry) => entry.slice(31))).toEqual([
      'stdout F one',
      'stdout P tw',
      'stderr F oops',
      'stdout F o',
    ]);
    expect(entries).toEqual(entries.toSorted());
  });

  it('never takes more than its files, and keeps what is newest', async () => {
    const writer = openWriter(MIN_FILE_BYTES, 3);
    for (let n = 0; n < 100; n++) writer.write('stdout', Buffer.from(lines(n * 100, 100)));
    writer.write('stdout', Buffer.alloc(65_000, '\n'));
    writer.write('stdout', Buffer.from(lines(10_000, 700)));
    expect(readdirSync(directory).length).toBeLessThanOrEqual(3);
    for (const name of readdirSync(directory)) {
      expect(statSync(join(directory, name)).size).toBeLessThanOrEqual(MIN_FILE_BYTES);
    }
    expect(await text()).toMatch(new RegExp(`${line(10_698)}${line(10_699)}$`));
  });

  it('begins so many lines before its end, over files and streams', async () => {
    const writer = openWriter(MIN_FILE_BYTES, 5);
    for (let n = 0; n < 1_500; n++) writer.write(n % 10 === 0 ? 'stderr' : 'stdout', Buffer.from(line(n)));
    expect(listLogFiles(directory).length).toBeGreaterThan(2);
    expect(await text({ tail: 0 })).toBe('');
    expect(await text({ tail: 1 })).toBe(line(1_499));
    expect(await text({ tail: 1_000 })).toBe(lines(500, 1_000));
    expect(await text({ tail: 2, streams: new Set(['stderr']) })).toBe(line(1_480) + line(1_490));
    expect(await text({ tail: 5_000 })).toBe(lines(0, 1_500));
    writer.write('stdout', Buffer.from('no end yet'));
    expect(await text({ tail: 2 })).toBe(`${line(1_499)}no end yet`);
  });

  it('can be asked for a time', async () => {
    const writer = openWriter();
    for (let n = 0; n < 5; n++) writer.write('stdout', Buffer.from(line(n)));
    const times = (await read()).map(({ timeNs }) => timeNs);
    expect(times).toHaveLength(5);
    expect(await text({ sinceNs: times[2]! })).toBe(lines(2, 3));
    expect(await text({ untilNs: times[2]! })).toBe(lines(0, 3));
    expect(await text({ sinceNs: times[1]!, untilNs: times[3]! })).toBe(lines(1, 3));
  });

  it('goes on where its writer was killed, without what was torn', async () => {
    const first = openWriter();
    first.write('stdout', Buffer.from(lines(0, 3)));
    first.close();
    appendFileSync(listLogFiles(directory)[0]!.path, '2026-01-01T00:00:00.000000000Z stdout F tor');
    expect(await text()).toBe(lines(0, 3));
    const second = openWriter();
    expect(await text()).toBe(lines(0, 3));
    second.write('stdout', Buffer.from(lines(3, 1)));
    expect(await text()).toBe(lines(0, 4));
  });
});

it('goes on in another file behind what is no log, as a machine that lost power leaves it', async () => {
  const first = openWriter(1024 ** 2);
  first.write('stdout', Buffer.from(lines(0, 3)));
  first.close();
  appendFileSync(listLogFiles(directory)[0]!.path, Buffer.alloc(300_000));
  const second = openWriter(1024 ** 2);
  second.write('stdout', Buffer.from(lines(3, 2)));
  expect(await text()).toBe(lines(0, 5));
});

describe('a follower', () => {
  async function follow(writer: LogWriter, onBatch: (sofar: string) => void | Promise<void>) {
    let sofar = '';
    let skippedBytes = 0;
    for await (const batch of readLog({ directory, writer }, { streams: BOTH, follow: true }, never)) {
      for (const output of batch) {
        sofar += output.data.toString();
        skippedBytes += output.skippedBytes;
      }
      await onBatch(sofar);
    }
    return { text: sofar, skippedBytes };
  }

  it('hears each line once, over rotation, until the end', async () => {
    const writer = openWriter(MIN_FILE_BYTES, 3);
    let next = 0;
    const write = () => {
      writer.write('stdout', Buffer.from(lines(next, 250)));
      next += 250;
      if (next === 5_000) writer.close();
    };
    write();
    expect(await follow(writer, write)).toEqual({ text: lines(0, 5_000), skippedBytes: 0 });
  });

  it('that is slow misses whole lines, and hears how many bytes', async () => {
    const writer = openWriter(MIN_FILE_BYTES, 2);
    writer.write('stdout', Buffer.from(line(0)));
    let written = false;
    const result = await follow(writer, () => {
      if (written) return;
      written = true;
      for (let n = 1; n < 5_000; n += 100) writer.write('stdout', Buffer.from(lines(n, 100)));
      writer.close();
    });
    const numbers = result.text
      .trimEnd()
      .split('\n')
      .map((one) => Number(one.slice(0, 6)));
    expect(numbers[0]).toBe(0);
    expect(numbers.at(-1)).toBe(5_000);
    const missed = numbers[1]! - 1;
    expect(numbers.slice(1)).toEqual(Array.from({ length: 5_000 - missed }, (_, n) => n + 1 + missed));
    expect(result.skippedBytes).toBe(
      missed * (line(0).length + '2026-01-01T00:00:00.000000000Z stdout F '.length),
    );
  });

  it('ends when its caller leaves', async () => {
    const writer = openWriter();
    const left = new AbortController();
    const following = Array.fromAsync(
      readLog({ directory, writer }, { streams: BOTH, follow: true }, left.signal),
    );
    left.abort(new Error('left'));
    await expect(following).rejects.toThrow('left');
  });
});

it('a full disk takes nothing from what was written before, and the gap is told', async () => {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', directory]);
  onTestFinished(() => void execFileSync('umount', ['-l', directory]));
  const writer = openWriter(1024 ** 2, 2);
  for (let n = 0; n < 2_000; n += 100) writer.write('stdout', Buffer.from(lines(n, 100)));
  expect(dropped).toBeGreaterThan(0);
  const kept = await text();
  expect(kept).toBe(lines(0, kept.length / line(0).length));
  execFileSync('mount', ['-o', 'remount,size=1m', directory]);
  writer.write('stdout', Buffer.from(lines(2_000, 1)));
  const outputs = await read();
  expect(outputs.at(-1)).toMatchObject({ skippedBytes: dropped, data: Buffer.from(line(2_000)) });
});
