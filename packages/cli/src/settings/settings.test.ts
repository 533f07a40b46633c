import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { configPath, readConfig, writeConfig } from './config-file.ts';
import { settingsOf } from './settings.ts';

let env: Record<string, string>;
let path: string;

beforeEach(() => {
  const home = mkdtempSync(join(tmpdir(), 'longshore-cli-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  path = join(home, 'config.yaml');
  env = { HOME: home, LONGSHORE_CONFIG: path };
});

describe('settings', () => {
  it('are those of the node socket of this machine without anything', async () => {
    expect(await settingsOf({}, env)).toEqual({
      context: 'local',
      address: 'unix:///run/longshore/longshore.sock',
      tls: undefined,
      token: undefined,
      namespace: 'default',
      node: undefined,
    });
    const state = await settingsOf({}, { ...env, LONGSHORE_STATE: '/run/x' });
    expect(state.address).toBe('unix:///run/x/longshore.sock');
  });

  it('come from options, then the environment, then the context', async () => {
    await writeConfig(path, {
      current: 'prod',
      contexts: { prod: { address: 'a:1', ca: '/ca', token: 't', namespace: 'n', node: 'n1' } },
    });
    expect(await settingsOf({}, env)).toMatchObject({
      context: 'prod',
      address: 'a:1',
      tls: { ca: '/ca' },
      token: 't',
      namespace: 'n',
      node: 'n1',
    });
    const fromEnv = { ...env, LONGSHORE_ADDRESS: 'b:1', LONGSHORE_NAMESPACE: 'm', LONGSHORE_TOKEN: 'u' };
    expect(await settingsOf({}, fromEnv)).toMatchObject({ address: 'b:1', namespace: 'm', token: 'u' });
    const options = { address: 'c:1', namespace: 'o', node: '_' };
    expect(await settingsOf(options, fromEnv)).toMatchObject({ address: 'c:1', namespace: 'o', node: '_' });
    expect(await settingsOf({ context: 'local' }, env)).toMatchObject({
      token: undefined,
      namespace: 'default',
    });
  });

  it('name a context that is meant, and the file that is wrong', async () => {
    await writeConfig(path, { contexts: { prod: {} } });
    await expect(settingsOf({ context: 'pord' }, env)).rejects.toMatchObject({
      hint: 'Did you mean "prod"?',
    });
    for (const [text, problem] of [
      ['contexts: [a', /config\.yaml/],
      ['contexts: {a: {adress: x}}', /context "a" has the unknown key "adress"/],
      ['contexts: {a: {token: 7}}', /context "a": token is no text/],
      ['- a', /file holds no keys/],
    ] as const) {
      writeFileSync(path, text);
      await expect(settingsOf({}, env)).rejects.toThrow(problem);
    }
  });
});

describe('the file of contexts', () => {
  it('is for its owner only, since it may hold tokens', async () => {
    await writeConfig(path, { contexts: { a: { token: 't' } } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await readConfig(path)).toEqual({ contexts: { a: { token: 't' } } });
  });

  it('is where XDG says', () => {
    expect(configPath({ HOME: '/h' })).toBe('/h/.config/longshore/config.yaml');
    expect(configPath({ HOME: '/h', XDG_CONFIG_HOME: '/x' })).toBe('/x/longshore/config.yaml');
  });
});
