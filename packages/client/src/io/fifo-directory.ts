import { constants, rmSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { StreamsIo } from './io.ts';
import type { StdioPaths } from './process-io.ts';

/** As containerd's own clients name them: `<directory>/<random>/<id>-stdin`. */
export class FifoDirectory {
  readonly path: string;
  readonly stdio: StdioPaths;

  private constructor(path: string, stdio: StdioPaths) {
    this.path = path;
    this.stdio = stdio;
  }

  /** Makes the fifos that a process with these streams needs, for their owner only. Rejects with what the file system says; then nothing is left. */
  static async make(below: string, id: string, io: StreamsIo): Promise<FifoDirectory> {
    // Few who load this package make fifos.
    const { AT_FDCWD, mknodat } = await import('@longshore/linux');
    await mkdir(below, { recursive: true, mode: 0o700 });
    const path = await mkdtemp(join(below, 'io-'));
    const make = (name: string, isWanted: boolean) => {
      if (!isWanted) return '';
      const fifo = join(path, `${id}-${name}`);
      mknodat(AT_FDCWD, fifo, constants.S_IFIFO | 0o700, 0);
      return fifo;
    };
    try {
      const stdin = make('stdin', io.stdin !== undefined);
      // A shim that is given one of the outputs wants both.
      const stdout = make('stdout', true);
      const stderr = make('stderr', !io.terminal);
      return new FifoDirectory(path, { stdin, stdout, stderr, terminal: io.terminal });
    } catch (error) {
      rmSync(path, { recursive: true, force: true });
      throw error;
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
