import { describe, expect, it } from 'vitest';
import type { Host } from '../host.ts';
import { ProgressDisplay } from './progress.ts';
import { type ProgressPicture, progressLines } from './progress-view.ts';

const picture = (doneBytes: number): ProgressPicture => ({
  title: 'redis:7: transferring',
  lines: [{ name: 'aaaaaaaaaaaa', state: 'transferring', doneBytes, totalBytes: 4_000_000 }],
  doneBytes,
  totalBytes: 4_000_000,
  bytesPerSecond: 500_000,
  remainingMs: ((4_000_000 - doneBytes) / 500_000) * 1_000,
});

function displayOn(terminal: object) {
  const written: string[] = [];
  const write = (text: string | Uint8Array) => written.push(String(text)) > 0;
  return {
    display: new ProgressDisplay({ env: {}, stderr: { write, ...terminal } as unknown as Host['stderr'] }),
    written,
  };
}

describe('progressLines', () => {
  it('shows bytes, rate and what is left', () => {
    const [bar, total] = progressLines(picture(1_000_000), 120, 24);
    expect(bar).toBe('aaaaaaaaaaaa          transferring   [=======>                      ]  1.00MB/4.00MB');
    expect(total).toBe('redis:7: transferring  1.00MB/4.00MB  500kB/s  ETA 6 seconds');
  });

  it('has no more lines and columns than the terminal', () => {
    const many = { ...picture(0), lines: Array.from({ length: 50 }, () => picture(0).lines[0]!) };
    const lines = progressLines(many, 40, 10);
    expect(lines).toHaveLength(9);
    expect(lines.at(-2)).toBe('… and 43 more');
    expect(Math.max(...lines.map((line) => line.length))).toBe(39);
  });
});

describe('ProgressDisplay', () => {
  it('draws in place on a terminal', () => {
    const { display, written } = displayOn({ isTTY: true, columns: 100, rows: 24 });
    display.update(picture(0));
    display.update(picture(2_000_000));
    expect(written[0]!.startsWith('\x1b[J')).toBe(true);
    expect(written[1]!.startsWith('\x1b[2F\x1b[J')).toBe(true);
  });

  it('elsewhere writes a plain line for each change of a state', () => {
    const { display, written } = displayOn({});
    display.update(picture(0));
    display.update(picture(2_000_000));
    display.update({ ...picture(4_000_000), title: 'redis:7: done' });
    expect(written).toEqual([
      'aaaaaaaaaaaa: transferring (4.00MB)\n',
      'redis:7: transferring\n',
      'redis:7: done\n',
    ]);
  });
});
