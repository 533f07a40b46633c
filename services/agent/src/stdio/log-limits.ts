import { invalidArgument } from '@longshore/errors';

/** What is kept of one container's output: so many files of at most so many bytes; the oldest goes first. */
export interface LogLimits {
  fileBytes: number;
  files: number;
}

/** One piece of entries must have room in a file. */
export const MIN_FILE_BYTES = 64 * 1024;
const MAX_FILE_BYTES = 1024 ** 3;
const MAX_FILES = 100;

/** 0 means the node's own. Throws InvalidArgument for what is out of range. */
export function logLimits(wanted: LogLimits, defaults: LogLimits): LogLimits {
  const { fileBytes, files } = wanted;
  if (fileBytes !== 0 && !(fileBytes >= MIN_FILE_BYTES && fileBytes <= MAX_FILE_BYTES)) {
    throw invalidArgument(`log file of ${fileBytes} bytes: want ${MIN_FILE_BYTES} to ${MAX_FILE_BYTES}`);
  }
  if (files !== 0 && !(files >= 1 && files <= MAX_FILES)) {
    throw invalidArgument(`${files} log files: want 1 to ${MAX_FILES}`);
  }
  return { fileBytes: fileBytes || defaults.fileBytes, files: files || defaults.files };
}
