import { readdir, readFile, readlink } from 'node:fs/promises';
import { isErrno } from './errno.ts';

/** __SO_ACCEPTCON in a line's flags: the socket that listens, not one of those that it has accepted. */
const ACCEPTS = 0x10000;
/**
 * `address: refcount protocol flags type state inode path`; all but the inode are hexadecimal, at least so many digits. No line is taken
 * that has fewer: a socket's name may hold a line feed and what looks like another's line, by which somebody else would be taken for
 * its owner, and killed. But a name is 107 bytes at most, so that beside a path of 48 or more, as shims have, there is no room for that.
 */
const LINE =
  /^[0-9a-f]{16}: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} (?=[ \d]{5}) *(\d+) (.+)$/;

/**
 * The process that listens on a unix socket, found by the socket's inode among the descriptors of all processes: who made
 * the socket, which SO_PEERCRED tells, may be gone. `path` is a file's, or a name in the abstract space with its NUL.
 * Undefined when nobody listens there, or nobody whose descriptors may be read. Looks at every process: some 10 ms on a
 * busy host.
 */
export async function socketOwner(path: string): Promise<number | undefined> {
  const links = new Set((await listeningInodes(path)).map((inode) => `socket:[${inode}]`));
  if (links.size === 0) return undefined;
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await holds(name, links))) return Number(name);
  }
  return undefined;
}

async function listeningInodes(path: string): Promise<string[]> {
  const wanted = path.replace('\0', '@');
  const lines = (await readFile('/proc/net/unix', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [, flags, inode, name] = LINE.exec(line) ?? [];
    const listens = (Number.parseInt(flags ?? '', 16) & ACCEPTS) !== 0;
    return listens && name === wanted && inode ? [inode] : [];
  });
}

async function holds(pid: string, links: ReadonlySet<string>): Promise<boolean> {
  for (const fd of await or([], readdir(`/proc/${pid}/fd`))) {
    if (links.has(await or('', readlink(`/proc/${pid}/fd/${fd}`)))) return true;
  }
  return false;
}

/** Processes come and go, and some are not ours to look at. */
async function or<T>(otherwise: T, found: Promise<T>): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return otherwise;
    throw error;
  }
}
