import { type Command, Option } from 'commander';

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof FORMATS)[number];

export interface OutputOptions {
  output?: Format;
  quiet?: boolean;
  trunc?: boolean;
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

/** For a command that shows documents only. */
export function addDocumentOptions(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'json or yaml').choices(['json', 'yaml']).default('json'),
  );
}

export function formatOf({ output, quiet }: OutputOptions): Format {
  return quiet ? 'name' : (output ?? 'table');
}
