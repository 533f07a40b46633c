import { Writable } from 'node:stream';
import type { Host, Sink } from '../host.ts';

/** This command's outputs as streams of a process, whose end is not theirs. */
export function outputsOf({ stdout, stderr }: Pick<Host, 'stdout' | 'stderr'>): {
  stdout: Writable;
  stderr: Writable;
} {
  return { stdout: streamTo(stdout), stderr: streamTo(stderr) };
}

export function streamTo(sink: Sink): Writable {
  return new Writable({
    write(chunk: Buffer, _, done) {
      sink.write(chunk, done);
    },
  });
}
