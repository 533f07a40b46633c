import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  AT_FDCWD,
  FileType,
  isType,
  lgetxattr,
  llistxattr,
  lstatat,
  readlinkat,
  unmountRecursive,
} from '@longshore/linux';
import { type Header, pack } from 'tar-stream';
import { type AppliedLayer, runApplyJob } from '../apply-job.ts';
import { DecompressedStream } from '../decompress.ts';
import type { ExtractionTarget } from '../extract/layer-extractor.ts';
import { DEFAULT_LAYER_LIMITS, type LayerLimits } from '../layer-limits.ts';

/** For tests only: archives made by hand, scratch directories, and trees that can be compared. */

type MemberHeader = Partial<Header> & Pick<Header, 'name'>;

export type Member = MemberHeader & { body?: string | Buffer };

export function file(name: string, body: string | Buffer = 'content', more: Partial<Header> = {}): Member {
  return { name, type: 'file', mode: 0o644, mtime: new Date(1_600_000_000_000), body, ...more };
}

export function directory(name: string, more: Partial<Header> = {}): Member {
  return { name, type: 'directory', mode: 0o755, mtime: new Date(1_600_000_000_000), ...more };
}

export function symlink(name: string, linkname: string, more: Partial<Header> = {}): Member {
  return { name, type: 'symlink', linkname, mtime: new Date(1_600_000_000_000), ...more };
}

export function hardLink(name: string, linkname: string): Member {
  return { name, type: 'link', linkname };
}

/** Names go into the archive as they are: nothing is cleaned. */
export async function archive(...members: Member[]): Promise<Buffer> {
  const packing = pack();
  for (const { body, ...header } of members) {
    if (body === undefined) packing.entry(header);
    else packing.entry(header, body);
  }
  packing.finalize();
  return Buffer.concat(await Array.fromAsync(packing as AsyncIterable<Buffer>));
}

/** A pax header with any bytes in its values, to be put in front of a member. */
export function paxHeader(...records: [key: string, value: Buffer | string][]): Buffer {
  const data = Buffer.concat(records.map(([key, value]) => paxRecord(key, Buffer.from(value))));
  return Buffer.concat([header({ name: 'pax', type: 'x', sizeBytes: data.length }), padded(data)]);
}

export interface RawHeader {
  name: string | Buffer;
  type: string;
  sizeBytes?: number;
  linkName?: string;
  magic?: string;
}

/** One header block, of whatever is given. */
export function header({
  name,
  type,
  sizeBytes = 0,
  linkName = '',
  magic = 'ustar\0' + '00',
}: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  Buffer.from(name).copy(block, 0, 0, 100);
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  block.write('13727373000\0', 136);
  block.write(type, 156);
  block.write(linkName, 157);
  block.write(magic, 257, 'latin1');
  return withChecksum(block);
}

export function withChecksum(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

export const END = Buffer.alloc(1024);

export function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Applies an archive in this thread. */
export function applyHere(
  target: ExtractionTarget,
  layer: Buffer,
  limits: Partial<LayerLimits> = {},
): Promise<AppliedLayer> {
  const job = {
    target,
    compression: 'detect' as const,
    limits: { ...DEFAULT_LAYER_LIMITS, ...limits },
    gunzip: undefined,
    mountPoint: undefined,
    syncFs: false,
  };
  return runApplyJob(
    job,
    new DecompressedStream(Readable.from([layer]), 'detect'),
    new AbortController().signal,
  );
}

export function overlayTarget(upper: string, ...lowers: string[]): ExtractionTarget {
  return { kind: 'overlay', upper, lowers, opaqueXattr: 'trusted.overlay.opaque' };
}

/** A directory of the test's own, gone afterwards with all that is mounted in it. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'longshore-diff-'));

  directory(...name: string[]): string {
    const path = join(this.path, ...name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  async remove(): Promise<void> {
    await unmountRecursive(this.path);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/**
 * All there is to know of what is in a directory, by path, to be compared: type, mode, owner, modification time, size,
 * content, link target, device, attributes, and which names are one file.
 */
export function describeTree(root: string): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  const firstNames = new Map<bigint, string>();
  walk(root, '', (path) => {
    const bytes = Buffer.from(join(root, path), 'latin1');
    const status = lstatat(AT_FDCWD, bytes);
    const first = firstNames.get(status.inode) ?? path;
    firstNames.set(status.inode, first);
    const isDirectory = isType(status.mode, FileType.Directory);
    tree[path] = {
      mode: status.mode.toString(8),
      owner: `${status.uid}:${status.gid}`,
      mtime: `${status.mtime.seconds}.${status.mtime.nanoseconds}`,
      size: isDirectory ? undefined : status.sizeBytes,
      device: `${status.deviceMajor}:${status.deviceMinor}`,
      content: isType(status.mode, FileType.Regular) ? sha256(readFileSync(bytes)) : undefined,
      target: isType(status.mode, FileType.Symlink)
        ? readlinkat(AT_FDCWD, bytes).toString('latin1')
        : undefined,
      xattrs: llistxattr(bytes)
        .toSorted()
        .map((name) => `${name}=${lgetxattr(bytes, name)?.toString('hex')}`),
      sameAs: isDirectory ? undefined : first,
    };
  });
  return tree;
}

function walk(root: string, below: string, visit: (path: string) => void): void {
  const here = Buffer.from(join(root, below), 'latin1');
  for (const entry of readdirSync(here, { withFileTypes: true, encoding: 'latin1' as 'utf8' }).toSorted(
    byName,
  )) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    visit(path);
    if (entry.isDirectory()) walk(root, path, visit);
  }
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
