import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { notFound } from '@longshore/errors';
import * as v from 'valibot';
import { toolchain } from './toolchain.ts';

const BOOTSTRAP = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url));
const Recorded = v.object({ root: v.string() });

/** Ceph's programs, unpacked: they find neither their libraries nor their plugins by themselves. */
export interface CephTools {
  path(program: string): string;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** `ceph/` holds plugins, `rados-classes/` what runs inside of the object store. */
  readonly libraries: string;
}

/** Finds them; the first call fetches what is missing, as `npm test` would. */
export async function cephTools(): Promise<CephTools> {
  const { cache } = await toolchain();
  const root = recorded(cache) ?? (await fetch(cache));
  const libraries = libraryDirectory(root);
  const paths = [libraries, join(libraries, 'ceph'), libraries.replace('/usr/lib/', '/lib/')];
  return {
    path: (program) => join(root, 'usr/bin', program),
    env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', LD_LIBRARY_PATH: paths.join(':') },
    libraries,
  };
}

/** Written by `bootstrap/ceph.mjs`. */
function recorded(cache: string): string | undefined {
  const path = join(cache, 'ceph.json');
  if (!existsSync(path)) return undefined;
  const { root } = v.parse(Recorded, JSON.parse(readFileSync(path, 'utf8')));
  return existsSync(join(root, 'usr/bin/radosgw')) ? root : undefined;
}

async function fetch(cache: string): Promise<string> {
  await promisify(execFile)(process.execPath, [BOOTSTRAP, 's3-tools'], {
    env: { ...process.env, LONGSHORE_CACHE: cache },
  });
  const root = recorded(cache);
  if (root === undefined) throw notFound(`S3 server below "${cache}"`);
  return root;
}

/** e.g. `usr/lib/x86_64-linux-gnu`. */
function libraryDirectory(root: string): string {
  const lib = join(root, 'usr/lib');
  const triple = readdirSync(lib).find((name) => existsSync(join(lib, name, 'rados-classes')));
  if (triple === undefined) throw notFound(`libraries of ceph below "${lib}"`);
  return join(lib, triple);
}
