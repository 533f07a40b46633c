import type { Command } from 'commander';
import type { Session } from './session.ts';

/**
 * A file of `commands/` exports one as `define`: it gives the command its arguments, options, examples and action. It is loaded only when
 * its command is used.
 */
export type Define = (command: Command, session: Session) => void;

/** For an option that may be given again and again: `--filter a --filter b`. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** For the end of a command's help: what it is for, and how that is typed. */
export function examples(command: Command, ...lines: [meaning: string, typed: string][]): Command {
  const text = lines.map(([meaning, typed]) => `  # ${meaning}\n  ${typed}`).join('\n\n');
  return command.addHelpText('after', `\nExamples:\n${text}`);
}
