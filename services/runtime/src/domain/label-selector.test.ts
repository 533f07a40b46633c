import { describe, expect, it } from 'vitest';
import { parseSelector } from './label-selector.ts';

const LABELS = { zone: 'a', gpu: '', 'example.com/rack': 'r-1' };

describe('parseSelector', () => {
  it.each([
    ['', true],
    ['zone=a', true],
    ['zone==a', true],
    ['zone=b', false],
    ['zone!=b', true],
    ['zone!=a', false],
    ['other!=a', true],
    ['other=', false],
    ['gpu', true],
    ['gpu=', true],
    ['!gpu', false],
    ['!toString', true],
    ['toString', false],
    ['zone=a, gpu,example.com/rack=r-1', true],
    ['zone=a,!gpu', false],
  ])('%j on the labels: %s', (selector, matches) => {
    expect(parseSelector(selector)(LABELS)).toBe(matches);
  });

  it.each(['=a', '!zone=a', 'zone=a,', 'a b=c', 'zone=a=b', '!'])('refuses %j', (selector) => {
    expect(() => parseSelector(selector)).toThrow(/^selector .* is none of key=value/);
  });
});
