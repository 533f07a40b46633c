import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { failedPrecondition } from '@longshore/errors';
import { type Toolchain, toolchain } from './toolchain.ts';

/** Postgres refuses to run as root. */
const SYSTEM_USER = 'postgres';

/** The role that services connect as, and their database. It may create databases: tests take one per file. */
const SET_UP_SQL = ['CREATE ROLE longshore LOGIN CREATEDB', 'CREATE DATABASE longshore OWNER longshore'];

/** Changes when what is prepared above does, so that no older template is taken. */
const TEMPLATE_FORMAT = 2;

const run = promisify(execFile);

export interface SystemUser {
  uid: number;
  gid: number;
}

/** Source: getent(1) by way of id(1): the user may come from anywhere that the machine knows users from. */
export async function postgresUser(): Promise<SystemUser> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map((what) => run('id', [what, SYSTEM_USER])));
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
}

/**
 * Makes the cluster in `<dir>/data` unless it is there: a superuser `postgres`, a role and a database `longshore`,
 * all trusted, since only its owner and root can enter its directories.
 * It is a copy of a prepared one, with `durable` written through to the disk.
 */
export async function provideCluster(dir: string, user: SystemUser, durable: boolean): Promise<string> {
  const data = join(dir, 'data');
  if (existsSync(join(data, 'PG_VERSION'))) {
    await checkVersion(data);
    return data;
  }
  const unfinished = join(dir, 'data.new');
  await rm(unfinished, { recursive: true, force: true });
  const tools = await toolchain();
  await copyTemplate(unfinished, user, tools);
  if (durable) await writeThrough(unfinished, user, tools);
  await rename(unfinished, data);
  return data;
}

/** Makes `dir` the user's own, and refuses one that the user cannot reach, which Postgres would explain poorly. */
export async function ownDirectory(dir: string, user: SystemUser): Promise<void> {
  // Directories above it can be passed through, not listed.
  await mkdir(dirname(dir), { recursive: true, mode: 0o711 });
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (let path = dirname(dir); path !== '/'; path = dirname(path)) {
    const { mode, uid, gid } = await stat(path);
    const enter = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & enter) !== 0) continue;
    throw failedPrecondition(
      `directory "${dir}": the system user ${SYSTEM_USER} may not enter "${path}"; choose another root`,
    );
  }
  await chown(dir, user.uid, user.gid);
  await chmod(dir, 0o700);
}

async function checkVersion(data: string): Promise<void> {
  const { postgresBin } = await toolchain();
  const { stdout } = await run(join(postgresBin, 'postgres'), ['--version']);
  const major = /(\d+)/.exec(stdout)?.[1];
  const made = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim();
  if (made === major) return;
  throw failedPrecondition(
    `Postgres cluster "${data}" was made by version ${made}, the server here is ${major}`,
  );
}

async function create(data: string, user: SystemUser, tools: Toolchain): Promise<void> {
  const as = asPostgres(user, tools);
  const { postgresBin } = tools;
  const args = ['--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8', '--username=postgres', '--no-sync'];
  await run(join(postgresBin, 'initdb'), [...args, '-D', data], as);
  const single = run(join(postgresBin, 'postgres'), ['--single', '-D', data, 'postgres'], as);
  single.child.stdin?.end(`${SET_UP_SQL.join('\n')}\n`);
  const { stderr } = await single;
  if (/ERROR|FATAL/.test(stderr)) throw failedPrecondition(`Postgres cluster "${data}": ${stderr.trim()}`);
}

async function writeThrough(data: string, user: SystemUser, tools: Toolchain): Promise<void> {
  await run(join(tools.postgresBin, 'initdb'), ['--sync-only', '-D', data], asPostgres(user, tools));
}

function asPostgres(user: SystemUser, { env }: Toolchain) {
  return { ...user, cwd: '/', env: { PATH: env.PATH, LC_ALL: 'C.UTF-8', TZ: 'UTC' } };
}

/** initdb takes seconds, a copy of its result a fraction of one. */
async function copyTemplate(data: string, user: SystemUser, tools: Toolchain): Promise<void> {
  const major = /\/(\d+)\//.exec(tools.postgresBin)?.[1];
  const template = join(tools.cache, `postgres-${major}-template-${TEMPLATE_FORMAT}`);
  if (existsSync(template)) {
    await run('cp', ['-a', template, data]);
    return;
  }
  await create(data, user, tools);
  const unfinished = await mkdtemp(`${template}.new-`);
  await run('cp', ['-aT', data, unfinished]);
  // What a durable cluster is a copy of must itself be whole.
  await writeThrough(unfinished, user, tools);
  // Somebody else may have been first: then theirs is as good.
  await rename(unfinished, template).catch(() => rm(unfinished, { recursive: true, force: true }));
}
