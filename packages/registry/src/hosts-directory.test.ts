import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDirectory } from '@longshore/transport/testing';
import { describe, expect, it } from 'vitest';
import { registryHosts } from './hosts-directory.ts';

function directoryOf(files: Record<string, string>): string {
  const directory = scratchDirectory();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

const endpoints = async (directories: string[], host: string) =>
  (await registryHosts(directories, host)).map(({ endpoint }) => endpoint);

describe('registryHosts', () => {
  it('has the registry itself where nothing is said', async () => {
    expect(await endpoints([], 'docker.io')).toEqual(['https://registry-1.docker.io/v2']);
    expect(await endpoints([scratchDirectory(), '/nowhere'], 'localhost:5000')).toEqual([
      'http://localhost:5000/v2',
    ]);
    expect(await endpoints([directoryOf({ 'hosts.toml': 'server = "a.example"' })], '..')).toEqual([
      'https://../v2',
    ]);
  });

  it('goes by the first directory that has one for the registry, its port, or all', async () => {
    const first = directoryOf({
      'a.example_5000_/hosts.toml': 'server = "one.example"',
      'a.example/hosts.toml': 'server = "two.example"',
      'empty.example/x.txt': '',
    });
    const second = directoryOf({ '_default/hosts.toml': '[host."mirror.example"]' });
    expect(await endpoints([first, second], 'a.example:5000')).toEqual(['https://one.example/v2']);
    expect(await endpoints([first, second], 'a.example')).toEqual(['https://two.example/v2']);
    expect(await endpoints([first, second], 'empty.example')).toEqual(['https://empty.example/v2']);
    expect(await endpoints([first, second], 'b.example')).toEqual([
      'https://mirror.example/v2',
      'https://b.example/v2',
    ]);
  });

  it('takes certificates as Docker has them, and refuses files that are not there', async () => {
    const directory = directoryOf({
      'a.example/ca.crt': 'authority',
      'a.example/me.cert': 'certificate',
      'a.example/me.key': 'key',
      'b.example/hosts.toml': 'ca = "none.crt"',
    });
    expect(await registryHosts([directory], 'a.example')).toMatchObject([
      { ca: ['authority'], clients: [{ cert: 'certificate', key: 'key' }] },
    ]);
    await expect(registryHosts([directory], 'b.example')).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('none.crt'),
    });
  });
});
