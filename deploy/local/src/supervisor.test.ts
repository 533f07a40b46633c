import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invalidArgument } from '@longshore/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManagedProcess } from './managed-process.ts';
import { isAlive, processInfo } from './proc-table.ts';
import { Supervisor, type Unit } from './supervisor.ts';
import { until } from './until.ts';

let dir: string;
let reports: string[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-supervisor-'));
  reports = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A unit that runs a line of shell and is ready when that says so. */
function shellUnit(name: string, line: string): Unit {
  return {
    name,
    start: async (stop) => {
      const ready = Promise.withResolvers<void>();
      const process = new ManagedProcess({
        name,
        command: 'sh',
        args: ['-c', line],
        env: { PATH: '/usr/bin:/bin', DIR: dir },
        logPath: join(dir, `${name}.log`),
        onOutput: (chunk) => String(chunk).includes('ready') && ready.resolve(),
      });
      const close = () => process.close();
      try {
        await process.whenReady(() => ready.promise, 5000, stop);
      } catch (error) {
        await close();
        throw error;
      }
      return { process, close };
    },
  };
}

describe('Supervisor', () => {
  it('starts a dead unit again and says so in a line', async () => {
    await using supervisor = new Supervisor((line) => reports.push(line));
    await supervisor.startWave([shellUnit('image', 'echo ready; exec sleep 1000')]);
    const first = supervisor.process('image')?.pid ?? 0;
    supervisor.process('image')?.child.kill('SIGKILL');
    await until(() => reports.length > 0, 5000);
    expect(reports).toEqual(['image exited with signal SIGKILL; restarting in 0.5 s']);
    await supervisor.whenReady('image');
    const second = supervisor.process('image')?.pid ?? 0;
    expect(second).not.toBe(first);
    await supervisor.close();
    expect(processInfo(second)).toBeUndefined();
    expect(reports).toHaveLength(1);
  });

  it('tries a unit that fails at first again, with what its log says', async () => {
    const line = 'test -e $DIR/fixed || { echo "Error: no luck" >&2; exit 3; }; echo ready; exec sleep 1000';
    await using supervisor = new Supervisor((report) => {
      reports.push(report);
      writeFileSync(join(dir, 'fixed'), '');
    });
    await supervisor.startWave([shellUnit('gateway', line)]);
    expect(reports).toEqual([
      `gateway exited with code 3 before it was ready (${join(dir, 'gateway.log')}: Error: no luck); restarting in 0.5 s`,
    ]);
  });

  it('gives up on a wave that does not get ready, and says why', async () => {
    await using supervisor = new Supervisor(() => {});
    const wave = supervisor.startWave([shellUnit('agent', 'echo "Error: bad config"; exit 2')], 300);
    await expect(wave).rejects.toThrow(/not ready within 0.3 s: agent exited with code 2 .*bad config/);
  });

  it('gives up at once on what it is of no use to try again', async () => {
    await using supervisor = new Supervisor((line) => reports.push(line));
    const start = () => Promise.reject(invalidArgument('path "x" is too long'));
    await expect(supervisor.startWave([{ name: 'agent', start }])).rejects.toThrow('path "x" is too long');
    expect(reports).toEqual([]);
  });

  it('stops what is being started at once', async () => {
    const supervisor = new Supervisor((line) => reports.push(line));
    const wave = supervisor.startWave([shellUnit('slow', 'echo $$ > $DIR/pid; exec sleep 1000')]);
    await until(() => processInfo(Number(read('pid'))) !== undefined, 5000);
    const info = processInfo(Number(read('pid')));
    await Promise.all([expect(wave).rejects.toThrow('stopped'), supervisor.close()]);
    expect(info && isAlive(info)).toBe(false);
    expect(reports).toEqual([]);
  });

  it('stops waves in reverse order', async () => {
    const line = (name: string) =>
      `trap 'echo ${name} >> $DIR/order; exit' TERM; echo ready; while :; do sleep 0.05; done`;
    const supervisor = new Supervisor((report) => reports.push(report));
    for (const name of ['store', 'service']) await supervisor.startWave([shellUnit(name, line(name))]);
    await supervisor.close();
    expect(read('order')).toBe('service\nstore\n');
    expect(reports).toEqual([]);
  });

  it('stops and starts a single unit', async () => {
    await using supervisor = new Supervisor((line) => reports.push(line));
    await supervisor.startWave([shellUnit('image', 'echo ready; exec sleep 1000')]);
    await supervisor.stop('image');
    expect(supervisor.process('image')).toBeUndefined();
    await supervisor.start('image');
    expect(supervisor.process('image')?.isRunning()).toBe(true);
    expect(reports).toEqual([]);
  });
});

function read(name: string): string {
  try {
    return readFileSync(join(dir, name), 'utf8');
  } catch {
    return '';
  }
}
