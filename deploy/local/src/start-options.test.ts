import { describe, expect, it } from 'vitest';
import { parseStartOptions } from '../bootstrap/start-options.mjs';

describe('parseStartOptions', () => {
  it('takes root and state from the environment unless they are given', () => {
    const env = { LONGSHORE_ROOT: '/a', LONGSHORE_STATE: '/b' };
    expect(parseStartOptions([], env)).toMatchObject({
      root: '/a',
      state: '/b',
      once: false,
      command: undefined,
    });
    expect(parseStartOptions(['--root', '/c', '--state=/d'], env)).toMatchObject({ root: '/c', state: '/d' });
    expect(parseStartOptions([], {})).toMatchObject({ root: '/var/lib/longshore', state: '/run/longshore' });
  });

  it('takes a command as words or as a line for the shell', () => {
    expect(parseStartOptions(['--once', '--', 'ls', '-l'], {}).command).toEqual(['ls', '-l']);
    expect(parseStartOptions(['--command', 'ls | wc'], {}).command).toEqual(['/bin/sh', '-c', 'ls | wc']);
  });

  it('refuses what it does not know', () => {
    expect(() => parseStartOptions(['--imgae', 'x'], {})).toThrow('--imgae');
    expect(() => parseStartOptions(['ls'], {})).toThrow('a command goes after "--"');
    expect(() => parseStartOptions(['--command', 'a', '--', 'b'], {})).toThrow('exclude each other');
    expect(() => parseStartOptions(['--once=yes'], {})).toThrow();
  });
});
