import { readFileSync } from 'node:fs';

/** One line of `/proc/<pid>/mountinfo`. Source: proc_pid_mountinfo(5). */
export interface MountInfo {
  id: number;
  parentId: number;
  /** `<major>:<minor>` of the file system. */
  device: string;
  /** The directory of the file system that is mounted. */
  root: string;
  mountPoint: string;
  /** Per-mount options such as `ro`, `nosuid`. */
  options: string[];
  /** Propagation and the like, e.g. `shared:1`. */
  tags: string[];
  type: string;
  source: string;
  /** Options of the file system itself. */
  superOptions: string[];
}

/** The mounts of our own mount namespace, in the order in which they were made. */
export function readMountInfo(): MountInfo[] {
  return parseMountInfo(readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** `text` has one character per byte, so that the octal escapes and UTF-8 in it decode alike. */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseLine);
}

function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  // Any number of tags stands between the options and a lone hyphen.
  const hyphen = fields.indexOf('-', 6);
  if (hyphen < 0 || fields.length < hyphen + 4) throw new Error(`mountinfo line "${line}": unknown form`);
  return {
    id: Number(fields[0]),
    parentId: Number(fields[1]),
    device: fields[2]!,
    root: decodeField(fields[3]!),
    mountPoint: decodeField(fields[4]!),
    options: fields[5]!.split(','),
    tags: fields.slice(6, hyphen),
    type: fields[hyphen + 1]!,
    source: decodeField(fields[hyphen + 2]!),
    superOptions: fields[hyphen + 3]!.split(',').map(decodeField),
  };
}

/** Space, tab, newline and backslash are written as `\` and three octal digits. */
function decodeField(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  return Buffer.from(bytes, 'latin1').toString();
}
