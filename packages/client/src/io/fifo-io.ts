import { lstatSync } from 'node:fs';
import { FifoDirectory } from './fifo-directory.ts';
import { FifoReader } from './fifo-reader.ts';
import { FifoWriter } from './fifo-writer.ts';
import { InputSource } from './input-source.ts';
import type { StreamsIo } from './io.ts';
import { OutputSink } from './output-sink.ts';
import type { ProcessIo, StdioPaths } from './process-io.ts';

/** Streams of this process joined to a process's fifos, which a server on the same machine is told by path. */
export class FifoIo implements ProcessIo {
  readonly paths: StdioPaths;
  readonly outputEnded: Promise<void>;
  readonly #directory: FifoDirectory | undefined;
  readonly #readers: FifoReader[];
  readonly #writer: FifoWriter | undefined;
  readonly #input: InputSource | undefined;

  private constructor(paths: StdioPaths, io: StreamsIo, directory?: FifoDirectory) {
    using undo = new DisposableStack();
    const outputs = [
      { path: paths.stdout, sink: io.stdout },
      { path: paths.stderr, sink: io.stderr },
    ];
    const opened = outputs
      .filter(({ path }) => path !== '')
      .map(({ path, sink }) => ({
        reader: undo.adopt(new FifoReader(path), (reader) => reader.close()),
        sink,
      }));
    const hasInput = paths.stdin !== '' && io.stdin !== undefined;
    this.#writer = hasInput ? undo.adopt(new FifoWriter(paths.stdin), (writer) => writer.close()) : undefined;
    this.#input = hasInput ? new InputSource(io.stdin!) : undefined;
    undo.move();
    this.paths = paths;
    this.#directory = directory;
    this.#readers = opened.map(({ reader }) => reader);
    const copies = opened.map(({ reader, sink }) => reader.copyTo(new OutputSink(sink)));
    this.outputEnded = Promise.all(copies).then(() => undefined);
  }

  /** For a new process. Rejects with what the file system says; then nothing is left. */
  static async make(below: string, id: string, io: StreamsIo): Promise<FifoIo> {
    const directory = await FifoDirectory.make(below, id, io);
    try {
      return new FifoIo(directory.stdio, io, directory);
    } catch (error) {
      directory.remove();
      throw error;
    }
  }

  /** For a process that has its fifos already. Throws what the file system does. */
  static attach(paths: StdioPaths, io: StreamsIo): FifoIo {
    const made = new FifoIo(paths, io);
    made.release(async () => undefined);
    return made;
  }

  /** Whether these paths are of fifos on this machine. */
  static isAt({ stdin, stdout, stderr }: StdioPaths): boolean {
    const paths = [stdin, stdout, stderr].filter((path) => path !== '');
    return (
      paths.length > 0 && paths.every((path) => lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true)
    );
  }

  /**
   * To be called once the shim has the fifos open. `onInputEnded` tells the shim that all input is written; of a terminal, which would end
   * with it, it is not told.
   */
  release(onInputEnded: () => Promise<void>): void {
    for (const reader of this.#readers) reader.release();
    if (!this.#writer || !this.#input) return;
    const isToTell = !this.paths.terminal;
    void this.#writer
      .copyFrom(this.#input)
      .then(() => (isToTell ? onInputEnded() : undefined))
      // A process that has ended takes no input.
      .catch(() => undefined);
  }

  endInput(): void {
    this.#input?.stop();
    this.#writer?.close();
  }

  close(): void {
    this.endInput();
    for (const reader of this.#readers) reader.close();
    this.#directory?.remove();
  }
}
