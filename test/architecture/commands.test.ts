import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { REPOSITORY } from './sources.ts';

const run = promisify(execFile);
const services = readdirSync(join(REPOSITORY, 'services'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

describe('main.ts of every service', () => {
  it('is there for all seven', () => {
    expect(services.sort()).toEqual([
      'agent',
      'content',
      'events',
      'gateway',
      'image',
      'runtime',
      'snapshot',
    ]);
  });

  // Plain Node refuses syntax that the test runner accepts, e.g. an enum.
  it.each(services)('%s runs under plain Node and lists its keys with --help', async (service) => {
    const { stdout } = await run(process.execPath, [
      join(REPOSITORY, 'services', service, 'src/main.ts'),
      '--help',
    ]);
    expect(stdout).toContain(`longshore ${service}:`);
    expect(stdout).toMatch(/LONGSHORE_STATE {2}\(state, path; default "\/run\/longshore"\)/);
  });

  it.each(services)('%s names a wrong key and exits with 2', async (service) => {
    const failed = run(process.execPath, [join(REPOSITORY, 'services', service, 'src/main.ts')], {
      env: { ...process.env, LONGSHORE_SHUTDOWN_TIMEOUT_MS: 'soon' },
    });
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('shutdownTimeoutMs (LONGSHORE_SHUTDOWN_TIMEOUT_MS): "soon"'),
    });
  });
});
