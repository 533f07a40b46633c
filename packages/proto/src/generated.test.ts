import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const GENERATED = join(PACKAGE, 'src/gen');
/** Two generator runs of some seconds each, on a machine that does other things too. */
const TIMEOUT_MS = 120_000;

let scratch: string;

async function buf(...args: string[]): Promise<void> {
  const bin = join(PACKAGE, 'node_modules/.bin');
  await promisify(execFile)(join(bin, 'buf'), args, {
    cwd: PACKAGE,
    env: {
      ...process.env,
      PATH: [dirname(process.execPath), bin, process.env.PATH].join(delimiter),
      BUF_CACHE_DIR: join(scratch, 'cache'),
    },
  });
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1)).sort();
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'longshore-proto-'));
});

afterAll(async () => {
  await rm(scratch, { recursive: true, force: true });
});

describe('generated code', () => {
  it('is what the .proto files give', { timeout: TIMEOUT_MS }, async () => {
    await buf('generate', '--output', scratch);
    const fresh = join(scratch, 'src/gen');
    const files = await filesBelow(fresh);
    expect(files.length).toBeGreaterThan(80);
    const committed = (await filesBelow(GENERATED)).filter((path) => !path.startsWith('files.'));
    expect(committed).toEqual(files);
    for (const path of files) {
      expect(await readFile(join(GENERATED, path), 'utf8'), path).toBe(
        await readFile(join(fresh, path), 'utf8'),
      );
    }
  });

  it('is all named in files.js', async () => {
    const index = await readFile(join(GENERATED, 'files.js'), 'utf8');
    const files = (await filesBelow(GENERATED)).filter((path) => path.endsWith('_pb.js'));
    expect(files.filter((path) => !index.includes(`from './${path}'`))).toEqual([]);
    expect(index.trim().split('\n')).toHaveLength(files.length);
  });
});

describe('.proto files', () => {
  it('pass the linter', { timeout: TIMEOUT_MS }, () => buf('lint'));

  it('break nothing that the committed descriptor has', { timeout: TIMEOUT_MS }, () =>
    buf('breaking', '--against', 'descriptor.binpb'),
  );
});
