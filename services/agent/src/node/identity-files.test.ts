import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { IdentityFiles } from './identity-files.ts';

const CREDENTIALS = { privateKey: 'k', certificate: 'c', authorities: 'a' };

it('IdentityFiles leaves nothing behind when it cannot put new files in place', () => {
  const root = mkdtempSync(join(tmpdir(), 'longshore-identity-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'identity'));
  const files = new IdentityFiles(root);
  expect(() => files.save(CREDENTIALS, {})).toThrow();
  expect(readdirSync(root).filter((name) => !name.endsWith('.new'))).toEqual(['identity']);
});
