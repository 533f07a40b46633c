import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { FakeRegistry } from '@longshore/registry/testing';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { credentialSource } from '../registries/credentials.ts';
import { type Host, run } from '../run.ts';

let env: Record<string, string>;
let config: string;
let registry: FakeRegistry;

beforeEach(async () => {
  const home = mkdtempSync(join(tmpdir(), 'longshore-login-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  env = { HOME: home, DOCKER_CONFIG: home, PATH: `${home}:/usr/bin:/bin` };
  config = join(home, 'config.json');
  registry = await FakeRegistry.start();
});

async function longshore(argv: string[], stdin = '') {
  const said = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') => {
    const write = (text: string | Uint8Array) => {
      said[name] += String(text);
      return true;
    };
    return { write } as unknown as Host['stdout'];
  };
  const input = Readable.from([Buffer.from(stdin)]) as unknown as ReadStream;
  const signals = { on: () => undefined, off: () => undefined };
  const code = await run(argv, {
    env,
    stdin: input,
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    signals,
  });
  return { code, ...said };
}

const login = (password: string) =>
  longshore(['login', '-u', 'me', '--password-stdin', registry.host], `${password}\n`);
const known = () =>
  credentialSource(env)({ host: registry.host, reference: '', wwwAuthenticate: [] }, undefined);

describe('login', () => {
  it.each(['basic', 'bearer'] as const)('keeps a password that the registry takes (%s)', async (kind) => {
    registry.auth = { kind, username: 'me', password: 'right' };
    writeFileSync(config, JSON.stringify({ detachKeys: 'ctrl-x', auths: { other: { auth: 'eA==' } } }));
    expect(await login('right')).toMatchObject({ code: 0, stdout: 'Login Succeeded\n' });
    expect(await known()).toEqual({ kind: 'password', username: 'me', password: 'right' });
    expect(statSync(config).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(config, 'utf8'))).toMatchObject({
      detachKeys: 'ctrl-x',
      auths: { other: { auth: 'eA==' }, [registry.host]: { auth: btoa('me:right') } },
    });
    expect(await longshore(['logout', registry.host])).toMatchObject({ code: 0 });
    expect(await known()).toBeUndefined();
  });

  it.each(['basic', 'bearer'] as const)('keeps nothing that the registry refuses (%s)', async (kind) => {
    registry.auth = { kind, username: 'me', password: 'right' };
    const { code, stdout, stderr } = await login('wrong');
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).not.toContain('wrong');
    expect(await known()).toBeUndefined();
  });

  it('gives a password to the program that is to keep it', async () => {
    registry.auth = { kind: 'basic', username: 'me', password: 'right' };
    const helper = join(env.HOME!, 'docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\ncase $1 in store) cat > ${helper}.kept;; get) cat >/dev/null; cat ${helper}.kept;; esac\n`,
    );
    chmodSync(helper, 0o755);
    writeFileSync(config, JSON.stringify({ credHelpers: { [registry.host]: 'test' } }));
    vi.stubEnv('PATH', `${env.HOME}:${process.env.PATH}`);
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(await login('right')).toMatchObject({ code: 0 });
    expect(await known()).toEqual({ kind: 'password', username: 'me', password: 'right' });
    expect(readFileSync(config, 'utf8')).not.toContain(btoa('me:right'));
  });

  it('needs a terminal to ask at, or all that it would ask', async () => {
    expect(await longshore(['login', registry.host])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--password-stdin'),
    });
    expect(await longshore(['login', '--password-stdin', registry.host])).toMatchObject({ code: 2 });
  });
});
