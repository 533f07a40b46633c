import { type Command, Option } from 'commander';

/** Values of the options that every command takes. */
export interface GlobalOptions {
  address?: string;
  context?: string;
  namespace?: string;
  node?: string;
  debug?: boolean;
}

const GLOBAL = 'Global options:';

/** Gives a command, once each of its options and subcommands is there, what all have. */
export function addGlobalOptions(command: Command): void {
  const option = (flags: string, meaning: string) =>
    command.addOption(new Option(flags, meaning).helpGroup(GLOBAL));
  option(
    '--address <address>',
    "node socket (unix:///path) or gateway (host:port), in place of the context's",
  );
  option('--context <context>', 'named set of address, credentials and defaults; see "longshore context"');
  option('-n, --namespace <namespace>', 'namespace of what is meant (default: "default")');
  option('--node <node>', "at a gateway: the node that is meant; _ for the fleet's own records");
  option('--debug', 'tell where an error came from');
}

/** The options of a command, and those given before its name; the later ones win. */
export function optionsOf<T>(command: Command): T & GlobalOptions {
  const line: Command[] = [];
  for (let each: Command | null = command; each; each = each.parent) line.unshift(each);
  return Object.assign({}, ...line.map((each) => each.opts())) as T & GlobalOptions;
}
