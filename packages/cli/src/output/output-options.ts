import { type Command, Option } from 'commander';

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof FORMATS)[number];

export interface OutputOptions {
  output?: Format;
  quiet?: boolean;
  trunc?: boolean;
}

export interface WatchOptions extends OutputOptions {
  watch?: boolean;
}

/** For a command that lists: how it shows what it found. */
export function addOutputOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <format>', 'json, yaml, wide, or name (default: a table)').choices(FORMATS),
    )
    .option('-q, --quiet', 'names only, as --output name')
    .option('--no-trunc', 'show digests and commands whole');
}

/** For a list that can go on. */
export function addWatchOption(command: Command): Command {
  return command.option('-w, --watch', 'go on, and show what changes; with json an object a line');
}

/** For a command that shows documents only. */
export function addDocumentOptions(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'json or yaml').choices(['json', 'yaml']).default('json'),
  );
}

export function formatOf({ output, quiet }: OutputOptions): Format {
  return quiet ? 'name' : (output ?? 'table');
}
