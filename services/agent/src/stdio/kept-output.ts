import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { passBulk } from '@longshore/kit';
import { InputWriter } from './input-writer.ts';
import type { OutputStream } from './log-format.ts';
import type { LogWriter } from './log-writer.ts';
import { OutputReader } from './output-reader.ts';
import type { StdioPaths } from './stdio-directory.ts';

/** Others may have what the process has opened, and need not ever close it. */
const QUIET_MS = 2_000;
/** Nor ever stop writing. */
const MAX_REST_MS = 30_000;

/**
 * What the agent does for a task whose output it keeps: copies its fifos to its log, as fast as the disk takes it, and holds its
 * standard input open. States: open → ended, when the shim has closed its ends, or → closed, when the agent leaves.
 * Its process may be over before either.
 */
export class KeptOutput {
  readonly log: LogWriter;
  /** Undefined for a task without one. */
  readonly stdin: InputWriter | undefined;
  /** Resolves when nothing more will be written, and all that was is in the log. */
  readonly ended: Promise<void>;
  readonly #readers: OutputReader[];
  #isOver = false;

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

  /** The process has ended, and what it wrote is in the log; or nobody can say. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** To be called once the process has ended: the log's readers hear of it once what it wrote is there. */
  async processEnded(): Promise<void> {
    await this.settled();
    this.processLost();
  }

  /** To be called when nobody can say any more whether the process goes on. */
  processLost(): void {
    this.#isOver = true;
    this.log.wake();
  }

  /**
   * Resolves at the end of all outputs, which the shim must not open any more, or when nothing has come for `quietMs`. However slow
   * the disk is: what is there is read first.
   */
  async settled(quietMs = QUIET_MS): Promise<void> {
    for (const reader of this.#readers) reader.release();
    const until = performance.now() + MAX_REST_MS;
    for (let seen = -1; !this.log.isClosed && this.log.position !== seen && performance.now() < until; ) {
      seen = this.log.position;
      await this.#endedOr(quietMs);
      // A timer that is late comes before what has arrived meanwhile.
      await nextTurn();
    }
  }

  /** Nothing is read any more. */
  close(): void {
    this.stdin?.close();
    for (const reader of this.#readers) reader.close();
    this.log.close();
  }

  async #endedOr(timeoutMs: number): Promise<void> {
    const given = new AbortController();
    const late = delay(timeoutMs, undefined, { signal: given.signal }).catch(() => undefined);
    await Promise.race([this.ended, late]);
    given.abort();
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
