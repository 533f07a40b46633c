import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { notFound } from '@longshore/errors';
import * as v from 'valibot';

const BINARIES = [
  'containerd',
  'ctr',
  'containerd-shim-runc-v2',
  'runc',
  'nats-server',
  'docker-registry',
  'busybox',
  'ip',
] as const;

/** Written by `bootstrap/toolchain.mjs`. What an earlier version recorded has not all of them. */
const Recorded = v.object({
  binaries: v.object(v.entriesFromList(BINARIES, v.string())),
  postgresBin: v.string(),
});
type Recorded = v.InferOutput<typeof Recorded>;

export interface Toolchain {
  /** Absolute path of each program. */
  readonly binaries: Readonly<Recorded['binaries']>;
  /** Directory of Postgres' programs. */
  readonly postgresBin: string;
  /** Where the set-up keeps what it fetched. */
  readonly cache: string;
  /** This process's environment with the tools, and this Node, first on PATH. */
  readonly env: Readonly<NodeJS.ProcessEnv>;
}

const BOOTSTRAP = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url));

let found: Promise<Toolchain> | undefined;

/** The programs that longshore needs beside Node. The first call fetches what is missing, as `npm start` would. */
export function toolchain(): Promise<Toolchain> {
  found ??= load();
  return found;
}

async function load(): Promise<Toolchain> {
  const cache = process.env.LONGSHORE_CACHE || '/var/cache/longshore';
  const recorded = await readUsable(cache);
  if (recorded !== undefined) return toToolchain(recorded, cache);
  await promisify(execFile)(process.execPath, [BOOTSTRAP, 'tools'], {
    env: { ...process.env, LONGSHORE_CACHE: cache },
  });
  return toToolchain(read(cache), cache);
}

/** Undefined when nothing is recorded, or what is recorded has gone. */
async function readUsable(cache: string): Promise<Recorded | undefined> {
  try {
    const recorded = read(cache);
    await Promise.all(Object.values(recorded.binaries).map((path) => access(path)));
    await access(join(recorded.postgresBin, 'postgres'));
    return recorded;
  } catch {
    return undefined;
  }
}

function read(cache: string): Recorded {
  const path = join(cache, 'toolchain.json');
  const { success, output, issues } = v.safeParse(Recorded, JSON.parse(readFileSync(path, 'utf8')));
  if (!success) throw notFound(`${v.getDotPath(issues[0])} in "${path}"`);
  return output;
}

function toToolchain({ binaries, postgresBin }: Recorded, cache: string): Toolchain {
  const dirs = [dirname(process.execPath), ...Object.values(binaries).map((path) => dirname(path))];
  const path = [...new Set([...dirs, ...(process.env.PATH ?? '').split(delimiter)])].join(delimiter);
  return { binaries, postgresBin, cache, env: { ...process.env, PATH: path } };
}
