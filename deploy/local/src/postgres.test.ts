import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guard } from './guard.ts';
import { startPostgres } from './postgres.ts';
import { processInfo, signalProcess } from './proc-table.ts';
import { toolchain } from './toolchain.ts';

let dir: string;
let psql: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-pg-'));
  guard().removeWithUs(dir);
  chmodSync(dir, 0o711);
  psql = join((await toolchain()).postgresBin, 'psql');
});
afterAll(() => rmSync(dir, { recursive: true }));

const query = (url: string, sql: string) =>
  execFileSync(psql, [url, '-Atc', sql], { encoding: 'utf8' }).trim();

describe('startPostgres', () => {
  it('serves its role by a unix socket only, and lets it make databases', async () => {
    await using postgres = await startPostgres(join(dir, 'a'), { durable: false });
    expect(query(postgres.url, 'select current_user')).toBe('longshore');
    expect(query(postgres.url, 'show listen_addresses')).toBe('');
    expect(query(postgres.url, "select usesuper from pg_user where usename = 'longshore'")).toBe('f');
    query(postgres.url, 'create database other');
  });

  it('keeps its data, and is durable unless told otherwise', async () => {
    for (const round of [1, 2]) {
      await using postgres = await startPostgres(join(dir, 'b'));
      expect(query(postgres.url, 'show fsync')).toBe('on');
      query(postgres.url, 'create table if not exists rounds (round int)');
      query(postgres.url, `insert into rounds values (${round})`);
      expect(query(postgres.url, 'select count(*) from rounds')).toBe(String(round));
    }
  }, 60_000);

  it('starts after a kill, also while the killed one still runs', async () => {
    const first = await startPostgres(join(dir, 'c'), { durable: false });
    signalProcess(first.process.pid, 'SIGKILL');
    await first.process.exited;
    const second = await startPostgres(join(dir, 'c'), { durable: false });
    const third = await startPostgres(join(dir, 'c'), { durable: false });
    expect(processInfo(second.process.pid)).toBeUndefined();
    expect(query(third.url, 'select 1')).toBe('1');
    await third.close();
    expect(processInfo(third.process.pid)).toBeUndefined();
  });

  it('puts its socket elsewhere when the path is too long for one', async () => {
    const deep = join(dir, 'd'.repeat(80));
    await using postgres = await startPostgres(deep, { durable: false });
    expect(postgres.socketDir).toMatch(/^\/run\/longshore-postgres-/);
    expect(query(postgres.url, 'select 1')).toBe('1');
  });

  it('says which directory its user may not enter', async () => {
    mkdirSync(join(dir, 'home'), { mode: 0o700 });
    const started = startPostgres(join(dir, 'home/x'), { durable: false });
    await expect(started).rejects.toThrow(`the system user postgres may not enter "${join(dir, 'home')}"`);
  });
});
