import { pipeline } from 'node:stream/promises';
import { type Header, type Pack, pack } from 'tar-stream';

/** Takes the members of an archive, one after the other. */
export interface ArchiveWriter {
  file(name: string, bytes: Buffer): Promise<void>;
  /** `onChunk` hears how many bytes have been taken. Rejects when the source has more or fewer than it should. */
  stream(
    name: string,
    sizeBytes: number,
    source: AsyncIterable<Buffer> | Iterable<Buffer>,
    onChunk?: (bytes: number) => void,
    attributes?: Partial<Header>,
  ): Promise<void>;
  /** One without bytes. */
  entry(header: Partial<Header> & { name: string }): Promise<void>;
}

/** Unless they are given: so the same files give the same archive. */
const FIXED = { mtime: new Date(0), uid: 0, gid: 0, mode: 0o644 } satisfies Partial<Header>;

/** A tar archive, while `write` gives it its members; as fast as it is read. Throws what `write` throws. */
export async function* packArchive(write: (archive: ArchiveWriter) => Promise<void>): AsyncGenerator<Buffer> {
  const archive = pack();
  const writing = write(writerTo(archive)).then(
    () => archive.finalize(),
    (error: Error) => archive.destroy(error),
  );
  try {
    yield* archive as AsyncIterable<Buffer>;
  } finally {
    archive.destroy();
    await writing;
  }
}

function writerTo(archive: Pack): ArchiveWriter {
  const stream: ArchiveWriter['stream'] = async (name, size, source, onChunk, attributes) => {
    const counted = async function* () {
      for await (const chunk of source) {
        yield chunk;
        onChunk?.(chunk.length);
      }
    };
    await pipeline(counted, archive.entry({ ...FIXED, ...attributes, name, size }));
  };
  return {
    stream,
    file: (name, bytes) => stream(name, bytes.length, [bytes]),
    entry: (header) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      archive.entry({ ...FIXED, ...header }, (error) => (error ? reject(error) : resolve()));
      return promise;
    },
  };
}
