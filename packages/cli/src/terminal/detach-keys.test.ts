import { describe, expect, it } from 'vitest';
import { DetachFilter, parseDetachKeys } from './detach-keys.ts';

async function typed(keys: string, chunks: string[]): Promise<{ passed: string; isDetached: boolean }> {
  const filter = new DetachFilter(parseDetachKeys(keys));
  let isDetached = false;
  void filter.detached.then(() => {
    isDetached = true;
  });
  const passed: Buffer[] = [];
  filter.on('data', (chunk: Buffer) => passed.push(chunk));
  const ended = new Promise((resolve) => filter.once('end', resolve));
  for (const chunk of chunks) filter.write(chunk);
  filter.end();
  await ended;
  return { passed: Buffer.concat(passed).toString(), isDetached };
}

describe('detach keys', () => {
  it('are taken out of what is typed, and let go, also when they come apart', async () => {
    expect(await typed('ctrl-p,ctrl-q', ['ls\r\x10\x11x'])).toEqual({ passed: 'ls\r', isDetached: true });
    expect(await typed('ctrl-p,ctrl-q', ['a\x10', '\x11'])).toEqual({ passed: 'a', isDetached: true });
    expect(await typed('a,a,b', ['xaaab'])).toEqual({ passed: 'xa', isDetached: true });
  });

  it('let everything else through, once the next key tells', async () => {
    expect(await typed('ctrl-p,ctrl-q', ['\x10\x10p\x11'])).toEqual({
      passed: '\x10\x10p\x11',
      isDetached: false,
    });
    expect(await typed('ctrl-p,ctrl-q', ['end\x10'])).toEqual({ passed: 'end\x10', isDetached: false });
    expect(await typed('', ['\x10\x11'])).toEqual({ passed: '\x10\x11', isDetached: false });
  });

  it('are written as Docker writes them', () => {
    expect([...parseDetachKeys('ctrl-@,ctrl-A,ctrl-_,z,ctrl-[')]).toEqual([0, 1, 31, 122, 27]);
    for (const wrong of ['ctrl-', 'ctrl-1', 'ab', ',', 'ctrl-p,']) {
      expect(() => parseDetachKeys(wrong)).toThrow('is no key');
    }
  });
});
