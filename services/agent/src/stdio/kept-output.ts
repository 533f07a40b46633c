import { setImmediate as nextTurn } from 'node:timers/promises';
import { passBulk } from '@longshore/kit';
import { InputWriter } from './input-writer.ts';
import type { OutputStream } from './log-format.ts';
import type { LogWriter } from './log-writer.ts';
import { OutputReader } from './output-reader.ts';
import type { StdioPaths } from './stdio-directory.ts';

/**
 * What the agent does for a task whose output it keeps: copies its fifos to its log, as fast as the disk takes it, and holds its
 * standard input open. States: open → ended, when the shim has closed its ends, or → closed, when the agent leaves.
 */
export class KeptOutput {
  readonly log: LogWriter;
  /** Undefined for a task without one. */
  readonly stdin: InputWriter | undefined;
  /** Resolves when nothing more will be written, and all that was is in the log. */
  readonly ended: Promise<void>;
  readonly #readers: OutputReader[];

  /** Opens the fifos, without which a shim would wait. Throws what the file system does; then nothing is open. */
  constructor({ stdin, stdout, stderr }: StdioPaths, log: LogWriter) {
    using undo = new DisposableStack();
    undo.adopt(log, (opened) => opened.close());
    this.log = log;
    this.stdin = stdin === '' ? undefined : undo.adopt(new InputWriter(stdin), (opened) => opened.close());
    const outputs: [OutputStream, string][] = [
      ['stdout', stdout],
      ['stderr', stderr],
    ];
    const readers = outputs
      .filter(([, path]) => path !== '')
      .map(([stream, path]) => {
        return { stream, reader: undo.adopt(new OutputReader(path), (opened) => opened.close()) };
      });
    this.#readers = readers.map(({ reader }) => reader);
    this.ended = Promise.all(readers.map(({ stream, reader }) => copy(reader, stream, log))).then(() =>
      log.close(),
    );
    undo.move();
  }

  /** To be called once the shim has opened the fifos, or is known never to open them any more. */
  release(): void {
    for (const reader of this.#readers) reader.release();
  }

  /** Nothing is read any more. */
  close(): void {
    this.stdin?.close();
    for (const reader of this.#readers) reader.close();
    this.log.close();
  }
}

async function copy(reader: OutputReader, stream: OutputStream, log: LogWriter): Promise<void> {
  for await (const chunk of reader) {
    log.write(stream, chunk);
    passBulk(chunk.length);
    // One that writes without end shares this thread with all others.
    await nextTurn();
  }
}
