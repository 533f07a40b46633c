import { Readable } from 'node:stream';
import { invalidArgument, LongshoreError, messageOf } from '@longshore/errors';
import { extract, type Header } from 'tar-stream';
import { cleanName } from './clean-name.ts';
import { decompressed } from './decompressed.ts';

/** One member of an archive; what is none of these is left out. */
export interface ArchiveEntry {
  type: 'file' | 'symlink' | 'link' | 'directory';
  /** Below the archive's root: without a leading slash, `.` or `..`. */
  name: string;
  sizeBytes: number;
  /** Of links, as it stands there. */
  linkName: string;
  /** Permission bits. */
  mode: number;
  mtime: Date;
  /** Of a file; to be read before the next entry is asked for, which skips what is left. */
  bytes: AsyncIterable<Buffer>;
}

/** More than any image has; names are kept. */
const MAX_ENTRIES = 100_000;

/**
 * Reads a tar archive, as it is or compressed by gzip or zstd, while it comes. Holds no more of it than one header. Throws
 * InvalidArgument for what is no archive, is cut, or names what lies outside of it; what `source` throws; and the signal's reason.
 */
export async function* archiveEntries(
  source: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<ArchiveEntry> {
  signal?.throwIfAborted();
  const failed = new AbortController();
  const input = Readable.from(decompressed(reporting(source, failed)), { objectMode: false });
  const archive = extract();
  // What reads the archive below throws what has failed.
  input.on('error', (error) => archive.destroy(error)).pipe(archive);
  const onAbort = () => archive.destroy(new Error('aborted'));
  signal?.addEventListener('abort', onAbort, { once: true });
  let count = 0;
  try {
    for await (const entry of archive) {
      count += 1;
      if (count > MAX_ENTRIES) throw invalidArgument(`archive has more than ${MAX_ENTRIES} members`);
      const member = memberOf(entry.header, explained(entry as AsyncIterable<Buffer>, failed, signal));
      if (member) yield member;
      entry.resume();
    }
    if (count === 0) throw invalidArgument('archive is empty, or none');
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : archiveError(error, signal);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    archive.destroy();
    input.destroy();
  }
}

/** Notes what the source fails with: behind the streams it could be taken for an error of theirs. */
async function* reporting(
  source: AsyncIterable<Uint8Array>,
  failed: AbortController,
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    failed.abort(error);
    throw error;
  }
}

/** A member's bytes fail as the archive does. */
async function* explained(
  bytes: AsyncIterable<Buffer>,
  failed: AbortController,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    throw failed.signal.aborted ? failed.signal.reason : archiveError(error, signal);
  }
}

/** The signal's reason, when it has aborted. */
function archiveError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof LongshoreError) return error;
  return invalidArgument(`archive: ${messageOf(error)}`, { cause: error });
}

function memberOf(header: Header, bytes: AsyncIterable<Buffer>): ArchiveEntry | undefined {
  const { type, name, size = 0, linkname, mode = 0o644, mtime = new Date(0) } = header;
  const known = type === 'contiguous-file' ? 'file' : type;
  if (known !== 'file' && known !== 'symlink' && known !== 'link' && known !== 'directory') return undefined;
  return {
    type: known,
    name: cleanName(name),
    sizeBytes: size,
    linkName: linkname ?? '',
    mode: mode & 0o7777,
    mtime,
    bytes,
  };
}
