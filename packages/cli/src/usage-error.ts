import { ExitCode, type WithExitCode } from './exit-code.ts';

/** The command line asks for what makes no sense; nothing was tried. */
export class UsageError extends Error implements WithExitCode {
  readonly exitCode = ExitCode.Usage;
  /** What to type instead, if that can be said. */
  readonly hint: string | undefined;

  constructor(problem: string, hint?: string) {
    super(problem);
    this.name = 'UsageError';
    this.hint = hint;
  }
}
