import type { Command, CommanderError } from 'commander';
import { ExitCode, exitCodeOf } from './exit-code.ts';
import type { Host } from './host.ts';
import { buildProgram } from './program.ts';
import { reportError } from './report-error.ts';
import { Session } from './session.ts';

export type { Host } from './host.ts';

/** Runs one command line; answers the code to exit with. `argv` begins with the command's name. */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const session = new Session(host);
  const program = buildProgram(session);
  const [first, ...others] = argv;
  try {
    if (first === undefined) program.outputHelp();
    else if (first === '__complete') await printCompletions(program, session, others);
    else await program.parseAsync(first === 'help' ? [...others, '--help'] : argv, { from: 'user' });
    return session.exitCode;
  } catch (error) {
    if (isCommandersOwn(error)) return error.exitCode === 0 ? ExitCode.Ok : ExitCode.Usage;
    if (session.isInterrupted) return session.exitCode;
    reportError(error, host, argv.includes('--debug'));
    return exitCodeOf(error);
  } finally {
    await session.close();
  }
}

/** For the scripts of "longshore completion"; `words` are those of the line. */
async function printCompletions(program: Command, session: Session, words: readonly string[]): Promise<void> {
  const { complete } = await import('./completion/complete.ts');
  for (const word of await complete(program, session, words)) session.line(word);
}

/** It has said already what is wrong, or shown the help that was asked for. */
function isCommandersOwn(error: unknown): error is CommanderError {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
}
