import { describe, expect, it } from 'vitest';
import { parseChallenges } from './challenge.ts';

describe('parseChallenges', () => {
  it('reads quoted and bare parameters, commas in them included', () => {
    expect(
      parseChallenges([
        'Bearer realm="https://auth.example/token",service=registry,scope="repository:a/b:pull,push"',
      ]),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.example/token',
          service: 'registry',
          scope: 'repository:a/b:pull,push',
        },
      },
    ]);
  });

  it('reads several challenges, in one value or in more', () => {
    const schemes = parseChallenges(['Basic realm="a \\"b\\"", Bearer realm="c"', 'Negotiate']);
    expect(schemes).toEqual([
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'bearer', parameters: { realm: 'c' } },
      { scheme: 'negotiate', parameters: {} },
    ]);
  });

  it('leaves out what it cannot read', () => {
    expect(parseChallenges(['', '"', '=x'])).toEqual([]);
  });
});
