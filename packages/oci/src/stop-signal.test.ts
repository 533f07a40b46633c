import { expect, it } from 'vitest';
import { parseSignal } from './stop-signal.ts';

it.each([
  ['SIGTERM', 15],
  ['term', 15],
  ['QUIT', 3],
  ['9', 9],
  // systemd's own, as a container's first process.
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
  ['SIGRTMAX+1', undefined],
  ['0', undefined],
  ['65', undefined],
  ['SIGNOTHING', undefined],
  ['', undefined],
])('parseSignal takes %j', (text, signal) => {
  expect(parseSignal(text)).toBe(signal);
});
