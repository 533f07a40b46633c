import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { extractTree } from './extract-tree.ts';
import { packTree } from './pack-tree.ts';

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'longshore-tree-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

function archiveOf(...members: (Partial<Header> & { name: string; content?: string })[]) {
  const archive = pack();
  for (const { content = '', ...header } of members) archive.entry(header, content);
  archive.finalize();
  return archive as AsyncIterable<Buffer>;
}

describe('packTree, extractTree', () => {
  it('carry files, directories and links, with their modes and times', async () => {
    const from = await directory();
    await mkdir(join(from, 'a/empty'), { recursive: true });
    await writeFile(join(from, 'a/file'), 'x'.repeat(200_000));
    await chmod(join(from, 'a/file'), 0o750);
    await writeFile(join(from, 'a/nothing'), '');
    await symlink('/etc/passwd', join(from, 'a/link'));
    await chmod(join(from, 'a'), 0o500);
    const to = await directory();
    await extractTree(packTree(join(from, 'a'), 'b'), to);
    expect((await readdir(join(to, 'b'))).sort()).toEqual(['empty', 'file', 'link', 'nothing']);
    expect(await readFile(join(to, 'b/file'), 'utf8')).toBe('x'.repeat(200_000));
    expect(await readlink(join(to, 'b/link'))).toBe('/etc/passwd');
    const [file, made] = [await lstat(join(from, 'a/file')), await lstat(join(to, 'b/file'))];
    expect(made.mode).toBe(file.mode);
    expect(Math.floor(made.mtimeMs / 1000)).toBe(Math.floor(file.mtimeMs / 1000));
    expect((await lstat(join(to, 'b'))).mode & 0o777).toBe(0o500);
  });

  it('carry one file under another name, over one that is there', async () => {
    const to = await directory();
    await symlink('/dev/null', join(to, 'new'));
    await extractTree(archiveOf({ name: 'old', content: 'text' }), to, { rename: () => 'new' });
    expect((await lstat(join(to, 'new'))).isFile()).toBe(true);
    expect(await readFile(join(to, 'new'), 'utf8')).toBe('text');
  });
});

describe('extractTree', () => {
  const outside = '/tmp';
  it.each([
    ['a name', [{ name: '../escaped', content: 'x' }]],
    [
      'a link and what is below it',
      [
        { name: 'link', type: 'symlink' as const, linkname: outside },
        { name: 'link/escaped', content: 'x' },
      ],
    ],
    [
      'a link in the place of a directory',
      [
        { name: 'link', type: 'symlink' as const, linkname: outside },
        { name: 'link', type: 'directory' as const },
      ],
    ],
    ['a hard link', [{ name: 'hard', type: 'link' as const, linkname: '../../etc/passwd' }]],
    [
      'a hard link below a link',
      [
        { name: 'link', type: 'symlink' as const, linkname: '/etc' },
        { name: 'hard', type: 'link' as const, linkname: 'link/passwd' },
      ],
    ],
  ])('writes nothing outside, by %s', async (_, members) => {
    const to = await directory();
    await expect(extractTree(archiveOf(...members), join(to))).rejects.toMatchObject({
      kind: 'InvalidArgument',
    });
    await expect(lstat(join(outside, 'escaped'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(to)).not.toContain('hard');
  });

  it('leaves out set-id bits', async () => {
    const to = await directory();
    await extractTree(archiveOf({ name: 'tool', mode: 0o4755, content: 'x' }), to);
    expect((await lstat(join(to, 'tool'))).mode & 0o7777).toBe(0o755);
  });
});
