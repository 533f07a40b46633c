import { unimplemented } from '@longshore/errors';
import { FifoIo } from './fifo-io.ts';
import { hasTerminal, type Io } from './io.ts';
import type { StdioPaths } from './process-io.ts';

export interface LocalStdio {
  readonly stdio: StdioPaths;
  readonly fifos: FifoIo | undefined;
}

/** What a server is told of streams that are paths; of streams of this process, once their fifos are made and open. */
export async function localStdio(io: Io, id: string, fifoDirectory: string): Promise<LocalStdio> {
  const terminal = hasTerminal(io);
  switch (io.kind) {
    case 'null':
      return { stdio: { stdin: '', stdout: '', stderr: '', terminal }, fifos: undefined };
    case 'uri':
      // A terminal has no standard error.
      return {
        stdio: { stdin: '', stdout: io.uri, stderr: terminal ? '' : io.uri, terminal },
        fifos: undefined,
      };
    case 'streams': {
      const fifos = await FifoIo.make(fifoDirectory, id, io);
      return { stdio: fifos.paths, fifos };
    }
    case 'kept':
      throw unimplemented('output that is kept, of a process beside the first one');
  }
}
