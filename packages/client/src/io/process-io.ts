/** This side's ends of a process's standard streams. */
export interface ProcessIo {
  /** Resolves once all output has gone where it was meant to; rejects when what came over the network was cut off. */
  readonly outputEnded: Promise<void>;
  /** The process has exited: nobody reads what else comes. */
  endInput(): void;
  /** Lets go of everything that is still open; repeatable. */
  close(): void;
}

/** What a server is told of the streams of a process. */
export interface StdioPaths {
  stdin: string;
  stdout: string;
  stderr: string;
  terminal: boolean;
}
