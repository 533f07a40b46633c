import { describe, expect, it } from 'vitest';
import { formatApiToken, hashOfSecret, isGood, newApiToken, parseApiToken } from './api-token.ts';

describe('an API token', () => {
  it('is written and read, and no two are alike', () => {
    const tokens = Array.from({ length: 100 }, newApiToken);
    for (const token of tokens) expect(parseApiToken(formatApiToken(token))).toEqual(token);
    expect(new Set(tokens.map(({ id }) => id)).size).toBe(100);
  });

  it.each([
    '',
    'lst_',
    'lst_0_x',
    `lst_${'0'.repeat(16)}_${'a'.repeat(42)}`,
    `${formatApiToken(newApiToken())} `,
  ])('is not %j', (text) => expect(parseApiToken(text)).toBeUndefined());

  it('is good by its secret, until it expires', () => {
    const { id, secret } = newApiToken();
    const stored = { id, secretHash: hashOfSecret(secret), expiresAt: new Date(Date.now() + 60_000) };
    expect(isGood(stored, secret)).toBe(true);
    expect(isGood(stored, newApiToken().secret)).toBe(false);
    expect(isGood({ ...stored, expiresAt: new Date(Date.now() - 1) }, secret)).toBe(false);
  });
});
