import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takePidFile } from './pid-file.ts';
import { toolchain } from './toolchain.ts';
import { until } from './until.ts';

const BOOTSTRAP = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url));

let dir: string;
let cache: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-bootstrap-'));
  cache = join(dir, 'cache');
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = (...args: string[]) =>
  spawnSync(process.execPath, [BOOTSTRAP, ...args], {
    encoding: 'utf8',
    env: environment(),
    timeout: 60_000,
  });
const environment = () => ({ ...process.env, LONGSHORE_CACHE: cache });

describe('bootstrap.mjs', () => {
  it('explains the options of start without setting anything up', () => {
    const { status, stdout } = run('start', '--help');
    expect(status).toBe(0);
    for (const option of ['--image', '--command', '--once', '--root', '--state', '--plain-http', '--help']) {
      expect(stdout).toContain(option);
    }
    expect(existsSync(cache)).toBe(false);
  });

  it.each([
    [['start', '--imgae', 'x'], /--imgae[\s\S]*npm start -- --help/],
    [['strat'], /unknown verb "strat"[\s\S]*Usage/],
    [[], /a verb is needed[\s\S]*Usage/],
  ])('refuses %j before setting anything up', (args, message) => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(existsSync(cache)).toBe(false);
  });

  it('says that it must be root', () => {
    // Able to read, so that it finds itself in a home that is closed to others.
    const caps = '+dac_read_search';
    const options = ['--reuid=65534', '--clear-groups', `--inh-caps=${caps}`, `--ambient-caps=${caps}`];
    const { status, stderr } = spawnSync('setpriv', [...options, process.execPath, BOOTSTRAP, 'tools'], {
      encoding: 'utf8',
      env: environment(),
    });
    expect(stderr).toContain('must be run as root: try "sudo npm start"');
    expect(status).toBe(1);
  });

  it('waits for another set-up, saying so', async () => {
    const { cache: full } = await toolchain();
    const held = takePidFile(join(cache, 'lock'));
    symlinkSync(join(full, 'debs'), join(cache, 'debs'));
    const child: ChildProcess = spawn(process.execPath, [BOOTSTRAP, 'tools'], { env: environment() });
    let stderr = '';
    child.stderr?.on('data', (chunk) => (stderr += chunk));
    const exited = once(child, 'exit');
    await until(() => stderr.includes('waiting'), 10_000);
    expect(stderr).toContain(`another set-up is at work (pid ${process.pid}); waiting for it`);
    expect(existsSync(join(cache, 'toolchain.json'))).toBe(false);
    held[Symbol.dispose]();
    expect(await exited).toEqual([0, null]);
    expect(JSON.parse(readFileSync(join(cache, 'toolchain.json'), 'utf8')).binaries.ctr).toContain('/ctr');
  });

  it("ends with its command's exit code", async () => {
    ({ cache } = await toolchain());
    expect(run('exec', 'sh', '-c', 'exit 7').status).toBe(7);
  });
});
