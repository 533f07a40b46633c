import { describe, expect, it } from 'vitest';
import { failureLine } from './failure-line.ts';

describe('failureLine', () => {
  it("finds a crash's message above its stack", () => {
    const tail =
      'file:///x.ts:3\n    at foo\nError: port 80: in use\n    at bar (x.ts:3:1)\n\nNode.js v24.21.0\n';
    expect(failureLine(tail)).toBe('Error: port 80: in use');
  });

  it('reads structured lines', () => {
    const tail =
      '{"level":30,"msg":"ready"}\n{"level":60,"err":{"message":"disk full"},"msg":"uncaught error"}\n';
    expect(failureLine(tail)).toBe('uncaught error: disk full');
  });

  it('takes the last line when none speaks of an error', () => {
    expect(failureLine('one\ntwo\n')).toBe('two');
    expect(failureLine('')).toBe('');
  });
});
