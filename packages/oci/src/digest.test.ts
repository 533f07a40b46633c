import { describe, expect, it } from 'vitest';
import { algorithmOf, Digester, digestOf, encodedOf, isDigest, parseDigest } from './digest.ts';

const EMPTY_SHA256 = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

describe('parseDigest', () => {
  it.each(['sha256', 'sha384', 'sha512'] as const)('takes what %s gives, and its parts', (algorithm) => {
    const digest = digestOf('hello', algorithm);
    expect(parseDigest(digest)).toBe(digest);
    expect(algorithmOf(digest)).toBe(algorithm);
    expect(`${algorithm}:${encodedOf(digest)}`).toBe(digest);
  });

  it.each([
    ['', 'invalid checksum digest format'],
    ['sha256', 'invalid checksum digest format'],
    ['sha256:', 'invalid checksum digest format'],
    [':abc', 'invalid checksum digest format'],
    ['sha256:abc', 'invalid checksum digest length'],
    [EMPTY_SHA256.replace('e3', 'E3'), 'invalid checksum digest format'],
    [EMPTY_SHA256.replace('e3', '/.'), 'invalid checksum digest format'],
    [`${EMPTY_SHA256}\n`, 'invalid checksum digest length'],
    ['md5:d41d8cd98f00b204e9800998ecf8427e', 'unsupported digest algorithm'],
    ['../../x:y', 'invalid checksum digest format'],
    ['constructor:abc', 'unsupported digest algorithm'],
  ])('refuses %j: %s', (text, problem) => {
    expect(() => parseDigest(text)).toThrow(`digest "${text}": ${problem}: invalid argument`);
    expect(isDigest(text)).toBe(false);
  });
});

describe('Digester', () => {
  it('gives the digest so far, and goes on', () => {
    const digester = new Digester();
    expect(digester.digest()).toBe(EMPTY_SHA256);
    digester.update(Buffer.from('hel'));
    expect(digester.digest()).toBe(digestOf('hel'));
    expect(digester.update('lo').digest()).toBe(digestOf('hello'));
  });
});
