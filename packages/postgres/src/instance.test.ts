import { describe, expect, it } from 'vitest';
import { instanceOf } from './instance.ts';

describe('instanceOf', () => {
  it.each(['unix:///run/longshore/content.sock', '10.0.0.1:7001', '[::1]:7001'])(
    'knows its predecessors on %s, and no two processes by one name',
    (listen) => {
      const [a, b] = [instanceOf(listen), instanceOf(listen)];
      expect(a.name).not.toBe(b.name);
      expect(b.name.startsWith(a.predecessors ?? 'none')).toBe(true);
    },
  );

  it('tells instances on different addresses apart, also when one begins like the other', () => {
    expect(instanceOf('10.0.0.1:70').name.startsWith(instanceOf('10.0.0.1:7').predecessors ?? '')).toBe(
      false,
    );
  });

  it('has no predecessors on a port that others may have had', () => {
    expect(instanceOf('127.0.0.1:0').predecessors).toBeUndefined();
  });
});
