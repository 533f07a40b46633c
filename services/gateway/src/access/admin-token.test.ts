import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKind } from '@longshore/errors';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AdminToken } from './admin-token.ts';

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'token-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

describe('AdminToken', () => {
  it('is made once, in a file for its owner only', () => {
    const root = join(directory(), 'root');
    const path = join(root, 'gateway.token');
    const first = AdminToken.load(path);
    const text = readFileSync(path, 'utf8').trim();
    expect(text).toMatch(/^[\w-]{43}$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(root)).toEqual(['gateway.token']);
    expect(first.matches(text)).toBe(true);
    expect(AdminToken.load(path).matches(text)).toBe(true);
    expect(readFileSync(path, 'utf8').trim()).toBe(text);
  });

  it('matches nothing else', () => {
    const path = join(directory(), 'gateway.token');
    const token = AdminToken.load(path);
    const text = readFileSync(path, 'utf8').trim();
    for (const other of ['', text.slice(1), `${text}x`, text.toUpperCase()])
      expect(token.matches(other)).toBe(false);
  });

  it('may be put there by the operator, but not empty', () => {
    const path = join(directory(), 'gateway.token');
    writeFileSync(path, 'chosen\n');
    expect(AdminToken.load(path).matches('chosen')).toBe(true);
    writeFileSync(path, '\n');
    expect(() => AdminToken.load(path)).toThrow(
      expect.toSatisfy((error) => isKind(error, 'FailedPrecondition')),
    );
  });
});
