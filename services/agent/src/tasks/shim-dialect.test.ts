import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ShimDialect, ShimDialects } from './shim-dialect.ts';
import { onPath } from './task-fixture.testing.ts';
import { script } from './testing/installed-shim.ts';

const sayVersion = (version: string) => `printf '%s:\\n  Version:  %s\\n  Revision: \\n' "$0" '${version}'`;
const shim = (version: string) => script('containerd-shim-x-v2', sayVersion(version));

describe('ShimDialects', () => {
  it.each([
    ['1.6.20~ds1', 'any'],
    ['2.2.9', 'any'],
    ['v2.3.0-rc.1', 'params'],
    ['2.10.0', 'params'],
    ['3.0.0', 'params'],
    ['', 'any'],
  ] as const)('goes by the version: %s', async (version, dialect) => {
    expect(await new ShimDialects().of(shim(version), process.env)).toBe(dialect);
  });

  it("knows Debian's shim, and takes those of old names, and what cannot be run, for older ones", async () => {
    const dialects = new ShimDialects();
    expect(await dialects.of(onPath('containerd-shim-runc-v2'), process.env)).toBe('any');
    expect(await dialects.of(script('containerd-shim-runc-v1', sayVersion('2.3.0')), process.env)).toBe(
      'any',
    );
    expect(await dialects.of('/nowhere/containerd-shim-x-v2', process.env)).toBe('any');
  });

  it('asks again when the binary was replaced', async () => {
    const dialects = new ShimDialects();
    const binary = shim('1.7.0');
    expect(await dialects.of(binary, process.env)).toBe('any');
    writeFileSync(binary, `#!/bin/sh\n${sayVersion('2.3.0-beta')}\n`);
    expect(await dialects.of(binary, process.env)).toBe('params');
  });

  it('tries the other dialect when a shim does not understand, and remembers', async () => {
    const dialects = new ShimDialects();
    const binary = shim('0.9.0');
    const tried: ShimDialect[] = [];
    const start = async (dialect: ShimDialect) => {
      tried.push(dialect);
      if (dialect === 'any') throw new Error('shim was started through the deprecated API');
      return 'started';
    };
    expect(await dialects.start(binary, process.env, start)).toBe('started');
    expect(await dialects.start(binary, process.env, start)).toBe('started');
    expect(tried).toEqual(['any', 'params', 'params']);
  });

  it('says what the first start said when neither helps, and starts once when it failed for another reason', async () => {
    const dialects = new ShimDialects();
    const tried: ShimDialect[] = [];
    const failing = (words: string) => async (dialect: ShimDialect) => {
      tried.push(dialect);
      throw new Error(`${words} (${dialect})`);
    };
    const binary = shim('2.3.0');
    await expect(dialects.start(binary, process.env, failing('type with url web'))).rejects.toThrow(
      'web (params)',
    );
    await expect(dialects.start(binary, process.env, failing('no runc'))).rejects.toThrow('no runc (params)');
    expect(tried).toEqual(['params', 'any', 'params']);
  });
});
