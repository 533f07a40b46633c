import { describe, expect, it } from 'vitest';
import { parseSubject, subjectFilter, subjectOf } from './subjects.ts';

const NAMES = [
  'default',
  'k8s.io',
  'a-b_c',
  '_',
  '100%',
  '*',
  '>',
  'with blank',
  'ä',
  '🚢',
  '%2E',
  '..',
  '%',
];
const TOPICS = ['/tasks/exit', '/tasks/exec-added', '/a', '/a/b/c/d', '/v1.2/x', '/%2E/*', '/ /日本'];

describe('subjectOf', () => {
  it('puts dots for slashes and escapes dots inside a name', () => {
    const address = { namespace: 'k8s.io', node: '_', topic: '/tasks/exec-added' };
    expect(subjectOf(address)).toBe('longshore.events.k8s%2Eio._.tasks.exec-added');
  });

  it('gives every address its own subject, and gets it back', () => {
    const seen = new Set<string>();
    for (const namespace of NAMES)
      for (const node of NAMES)
        for (const topic of TOPICS) {
          const address = { namespace, node, topic };
          const subject = subjectOf(address);
          expect(subject).toMatch(/^longshore\.events(\.[A-Za-z0-9_%-]+){3,}$/);
          expect(parseSubject(subject)).toEqual(address);
          seen.add(subject);
        }
    expect(seen.size).toBe(NAMES.length ** 2 * TOPICS.length);
  });

  it.each(['', '/', 'tasks/exit', '/tasks//exit', '/tasks/'])('refuses topic %j', (topic) => {
    expect(() => subjectOf({ namespace: 'default', node: '_', topic })).toThrow(/invalid argument/);
  });

  it('refuses an empty namespace or node', () => {
    expect(() => subjectOf({ namespace: '', node: '_', topic: '/a' })).toThrow(/invalid argument/);
    expect(() => subjectOf({ namespace: 'a', node: '', topic: '/a' })).toThrow(/invalid argument/);
  });
});

describe('parseSubject', () => {
  it.each([
    'longshore.events',
    'longshore.events.a.b',
    'longshore.events.a..c',
    'other.events.a.b.c',
    'longshore.events.a.b.c.*',
    'longshore.events.a.b.%2e',
    'longshore.events.a.b.%41',
    'longshore.events.a.b.%FF',
    'longshore.events.a.b.c%',
  ])('refuses %s', (subject) => {
    expect(() => parseSubject(subject)).toThrow(/invalid argument/);
  });
});

describe('subjectFilter', () => {
  it('narrows to a namespace, a node, or both', () => {
    expect(subjectFilter()).toBe('longshore.events.*.*.>');
    expect(subjectFilter({ namespace: 'k8s.io' })).toBe('longshore.events.k8s%2Eio.*.>');
    expect(subjectFilter({ node: 'n1' })).toBe('longshore.events.*.n1.>');
    expect(subjectFilter({ namespace: 'a', node: '_' })).toBe('longshore.events.a._.>');
  });
});
