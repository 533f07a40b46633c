import { describe, expect, it } from 'vitest';
import { mergeEnv, withEnv } from './environment.ts';

describe('mergeEnv', () => {
  it.each<[string, string[], string[], string[]]>([
    ['adds', ['A=1'], ['B=2'], ['A=1', 'B=2']],
    ['replaces in place', ['A=1', 'B=2'], ['A=3'], ['A=3', 'B=2']],
    ['takes away by the bare name', ['A=1', 'B=2'], ['A', 'C'], ['B=2']],
    ['keeps an empty value, and what is behind a second "="', ['A=1'], ['A=', 'B=x=y'], ['A=', 'B=x=y']],
    ['takes the last of several', [], ['A=1', 'A=2'], ['A=2']],
    ['tells names apart of which one begins like the other', ['AB=1'], ['A=2'], ['AB=1', 'A=2']],
  ])('%s', (_, defaults, overrides, expected) => {
    expect(mergeEnv(defaults, overrides)).toEqual(expected);
  });
});

describe('withEnv', () => {
  it('makes a process that has variables', () => {
    expect(withEnv(['A=1'])({ ociVersion: '1.1.0' }).process?.env).toEqual(['A=1']);
  });
});
