import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commonKeys, databaseKeys, peerKey } from './common-config.ts';
import { helpText, key, loadConfig, parseCommandLine, readConfigFile } from './config.ts';
import { scratchDirectory } from './testing/scratch.ts';

const keys = { ...commonKeys('image'), content: peerKey('content'), ...databaseKeys() };
const REQUIRED = { DATABASE_URL: 'postgres://u@/db' };

function file(text: string): string {
  const path = join(scratchDirectory(), 'config.toml');
  writeFileSync(path, text);
  return path;
}

describe('loadConfig', () => {
  it('takes the environment before the file before the default', async () => {
    const read = await readConfigFile(file('shutdownTimeoutMs = 20\nlogLevel = "warn"\n'));
    const config = loadConfig(keys, { ...REQUIRED, LONGSHORE_LOG_LEVEL: 'error' }, read);
    expect(config.logLevel).toBe('error');
    expect(config.shutdownTimeoutMs).toBe(20);
    expect(config.databasePoolSize).toBe(8);
  });

  it('takes what is secret from a file that the environment names, and never repeats it', () => {
    const path = file('postgres://u:secret@/db\n');
    expect(loadConfig(keys, { DATABASE_URL_FILE: path }, undefined).databaseUrl).toBe(
      'postgres://u:secret@/db',
    );
    expect(() => loadConfig(keys, { DATABASE_URL_FILE: '/no/such' }, undefined)).toThrow(
      /DATABASE_URL_FILE "\/no\/such": ENOENT/,
    );
    const strict = { url: key({ env: 'URL', schema: keys.root.schema, secret: true, meaning: 'A place.' }) };
    expect(() => loadConfig(strict, { URL_FILE: file('\n') }, undefined)).toThrow(/url \(URL\): (?!")/);
  });

  it('computes defaults from the keys before', () => {
    const config = loadConfig(keys, { ...REQUIRED, LONGSHORE_STATE: '/tmp/s' }, undefined);
    expect(config.listen).toBe('unix:///tmp/s/image.sock');
    expect(config.content).toBe('unix:///tmp/s/content.sock');
  });

  it('names every wrong key at once', async () => {
    const read = await readConfigFile(file('constructor = 1\nnoSuchKey = true\nroot = ""\n'));
    const load = () =>
      loadConfig(keys, { LONGSHORE_LOG_LEVEL: 'loud', LONGSHORE_SHUTDOWN_TIMEOUT_MS: '-1' }, read);
    expect(load).toThrow(/constructor: unknown key/);
    expect(load).toThrow(/noSuchKey: unknown key/);
    expect(load).toThrow(/root \(LONGSHORE_ROOT\): ""/);
    expect(load).toThrow(/logLevel \(LONGSHORE_LOG_LEVEL\): "loud"/);
    expect(load).toThrow(/shutdownTimeoutMs \(LONGSHORE_SHUTDOWN_TIMEOUT_MS\): "-1"/);
    expect(load).toThrow(/databaseUrl \(DATABASE_URL\): is required/);
  });

  it('says which file it cannot read', async () => {
    await expect(readConfigFile('/no/such.toml')).rejects.toThrow(
      /configuration file "\/no\/such.toml": ENOENT/,
    );
    const broken = file('root = \n');
    await expect(readConfigFile(broken)).rejects.toThrow(/configuration file .*config\.toml/);
  });

  it('cannot be changed afterwards', () => {
    const config = loadConfig(keys, REQUIRED, undefined) as { root: string };
    expect(() => {
      config.root = '/elsewhere';
    }).toThrow(TypeError);
  });
});

describe('helpText', () => {
  it('lists every key with its variable, unit, default and meaning', () => {
    const text = helpText('image', 'names of images', keys);
    for (const definition of Object.values(keys)) {
      expect(text).toContain(`  ${definition.env}  (`);
      expect(text).toContain(definition.meaning);
    }
    expect(text).toContain('longshore image: names of images');
    expect(text).toContain('(shutdownTimeoutMs, ms; default 5000)');
    expect(text).toContain('(content, addresses; default unix://$LONGSHORE_STATE/content.sock)');
  });

  it('says that a key without default is required', () => {
    const text = helpText('x', 'y', {
      url: key({ env: 'URL', schema: keys.root.schema, meaning: 'A place.' }),
    });
    expect(text).toContain('URL  (url; required');
  });
});

describe('parseCommandLine', () => {
  it('knows --help and --config', () => {
    expect(parseCommandLine([])).toEqual({ help: false, configFile: undefined });
    expect(parseCommandLine(['-h', '--config', 'a.toml'])).toEqual({ help: true, configFile: 'a.toml' });
  });

  it('refuses what it does not know', () => {
    expect(() => parseCommandLine(['--frobnicate'])).toThrow(/--frobnicate.*invalid argument/);
  });
});
