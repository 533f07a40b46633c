import { passBulk } from '@longshore/kit';
import { type ExecNote, formatExecNote } from './exec-note.ts';
import type { Handover } from './handover.ts';
import { InputWriter } from './input-writer.ts';
import type { OutputStream } from './log-format.ts';
import { OutputReader } from './output-reader.ts';
import type { StdioDirectory, StdioName, StdioPaths } from './stdio-directory.ts';

export interface ExecPipesOptions extends ExecNote {
  terminal: boolean;
  stdin: boolean;
}

/** The agent's ends of an exec's fifos; a detached one has none. */
export class ExecPipes {
  readonly paths: StdioPaths;
  readonly stdin: InputWriter | undefined;
  readonly #directory: StdioDirectory;
  readonly #readers: [OutputStream, OutputReader][];

  /** Makes and opens the fifos. Throws what the file system does; then nothing is left. */
  constructor(directory: StdioDirectory, options: ExecPipesOptions) {
    using undo = new DisposableStack();
    undo.defer(() => directory.remove());
    this.#directory = directory;
    this.paths = directory.make(namesOf(options), 'exec', formatExecNote(options));
    const { stdin, stdout, stderr } = this.paths;
    this.stdin = stdin === '' ? undefined : undo.adopt(new InputWriter(stdin), (opened) => opened.close());
    const outputs: [OutputStream, string][] = [
      ['stdout', stdout],
      ['stderr', stderr],
    ];
    this.#readers = outputs
      .filter(([, path]) => path !== '')
      .map(([stream, path]) => [stream, undo.adopt(new OutputReader(path), (opened) => opened.close())]);
    undo.move();
  }

  /** To be called once the shim has opened the fifos. */
  release(): void {
    for (const [, reader] of this.#readers) reader.release();
  }

  /** Resolves at the end of all outputs. */
  async copyTo(outputs: Handover<{ stream: OutputStream; data: Buffer }>): Promise<void> {
    await Promise.all(
      this.#readers.map(async ([stream, reader]) => {
        for await (const data of reader) {
          await outputs.put({ stream, data });
          passBulk(data.length);
        }
      }),
    );
  }

  remove(): void {
    this.stdin?.close();
    for (const [, reader] of this.#readers) reader.close();
    this.#directory.remove();
  }
}

function namesOf({ detached, terminal, stdin }: ExecPipesOptions): StdioName[] {
  if (detached) return [];
  const names: StdioName[] = stdin ? ['stdin', 'stdout'] : ['stdout'];
  return terminal ? names : [...names, 'stderr'];
}
