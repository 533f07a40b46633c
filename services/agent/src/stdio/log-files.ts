import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno } from '@longshore/linux';

/** A file of a container's log. Its name is the place in the log of its first byte, so that what is missing can be counted. */
export interface LogFile {
  path: string;
  start: number;
  /** Place after its last byte. */
  end: number;
}

const NAME = /^(\d{16})\.log$/;

export function logFilePath(directory: string, start: number): string {
  return join(directory, `${String(start).padStart(16, '0')}.log`);
}

/** The oldest first; none of a log that nothing was written to. */
export function listLogFiles(directory: string): LogFile[] {
  return namesIn(directory).flatMap((name) => {
    const start = Number(NAME.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(start)) return [];
    const path = join(directory, name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    return size === undefined ? [] : [{ path, start, end: start + size }];
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
