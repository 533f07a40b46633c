import { isKind } from '@longshore/errors';
import { describe, expect, it } from 'vitest';
import { parseIdentifier } from './identifier.ts';
import { validateLabels, withoutEmptyLabels } from './labels.ts';

describe('parseIdentifier', () => {
  it.each(['default', 'Default', 'a.b_c-d', '0', `a${'b'.repeat(75)}`, 'moby.0'])('takes %j', (text) => {
    expect(parseIdentifier(text)).toBe(text);
  });

  it.each([
    ['', 'identifier must not be empty: invalid argument'],
    ['a b', 'identifier "a b" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument'],
    ['a..b', 'identifier "a..b" must match'],
    ['-a', 'identifier "-a" must match'],
    ['a/', 'identifier "a/" must match'],
    ['a\n', 'identifier "a\\n" must match'],
    ['ü', 'identifier "ü" must match'],
    [
      'a'.repeat(77),
      `identifier "${'a'.repeat(77)}" greater than maximum length (76 characters): invalid argument`,
    ],
  ])('refuses %j', (text, message) => {
    expect(() => parseIdentifier(text)).toThrow(message);
    try {
      parseIdentifier(text);
    } catch (error) {
      expect(isKind(error, 'InvalidArgument')).toBe(true);
    }
  });
});

describe('parseIdentifier with a subject', () => {
  it('says what the identifier is for', () => {
    expect(() => parseIdentifier('a b', 'namespace')).toThrow(
      'namespace validation: identifier "a b" must match',
    );
  });
});

describe('labels', () => {
  it('may have 4096 bytes of key and value, and not one more', () => {
    validateLabels({ a: 'b'.repeat(4095) });
    expect(() => validateLabels({ ['k'.repeat(100)]: 'ü'.repeat(2000) })).toThrow(
      `label key and value length (4100 bytes) greater than maximum size (4096 bytes), key: ${'k'.repeat(64)}: invalid argument`,
    );
  });

  it('are deleted by an empty value', () => {
    expect(withoutEmptyLabels({ a: '1', b: '' })).toEqual({ a: '1' });
  });
});
