import { messageOf } from '@longshore/errors';
import { ExitCode, type WithExitCode } from '../exit-code.ts';

/** What runc says of a program that is not there, and of one that cannot be executed. */
const NO_SUCH_PROGRAM = /executable file not found|no such file or directory/i;
const CANNOT_EXECUTE = /permission denied|exec format error|is a directory/i;
const IS_ABOUT_EXEC = /exec|start container process|unable to start/i;

/** Gives the failure of a start the exit code that Docker's users know. */
export function startFailure(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return Object.assign(error, { exitCode: codeOf(messageOf(error)) } satisfies WithExitCode);
}

function codeOf(message: string): number {
  if (!IS_ABOUT_EXEC.test(message)) return ExitCode.Longshore;
  if (NO_SUCH_PROGRAM.test(message)) return ExitCode.NoSuchProgram;
  return CANNOT_EXECUTE.test(message) ? ExitCode.CannotExecute : ExitCode.Longshore;
}
