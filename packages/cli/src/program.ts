import { Command } from 'commander';
import { COMMANDS, type CommandEntry } from './command-table.ts';
import { addGlobalOptions } from './global-options.ts';
import type { Session } from './session.ts';
import { VERSION } from './version.ts';

const AFTER_HELP = `
"longshore COMMAND --help" has the options of a command, and examples.

Exit codes:
  0 done    1 failed    2 wrong command line    3 server not reached    4 not found    5 not allowed
  6 not in a state for that (exists, runs, was changed)    7 out of time    128+n ended by signal n
  run and exec: the process's own; 125 longshore failed, 126 cannot be executed, 127 not there`;

/** The command line, with each command still to be read from its file. */
export function buildProgram(session: Session): Command {
  const { stdout, stderr } = session.host;
  session.loadCommand = (command) => loadCommand(command, session);
  const program = new Command('longshore')
    .description('Containers on a node, or on a fleet of them.')
    .usage('[options] COMMAND')
    .version(
      `longshore ${VERSION}`,
      '-v, --version',
      'version of this command; "longshore version" asks the server too',
    )
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) => write(`longshore: ${text.replace(/^error: /, '')}`),
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .helpCommand(false)
    .hook('preSubcommand', async (_, command) => {
      await session.loadCommand(command);
    })
    .addHelpText('after', AFTER_HELP);
  addGlobalOptions(program);
  for (const [verb, entry] of Object.entries(COMMANDS)) addStub(program, verb, entry);
  return program;
}

function addStub(program: Command, verb: string, { summary, aliases = [], group }: CommandEntry): void {
  program
    .command(verb)
    .aliases([...aliases])
    .summary(summary)
    .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    .helpGroup(group)
    .exitOverride();
}

/** Reads a command's file, once. */
async function loadCommand(command: Command, session: Session): Promise<void> {
  const entry = COMMANDS[command.name()];
  if (!entry || command.options.length > 0) return;
  const { define } = await entry.load();
  define(command, session);
  for (const each of withDescendants(command)) {
    if (each.commands.length === 0) addGlobalOptions(each);
  }
  setNegatable(command);
}

/** commander says that `--no-x` is otherwise true before it parses, when this command had no options yet. */
function setNegatable(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (option.negate && command.getOptionValue(name) === undefined) {
      command.setOptionValueWithSource(name, true, 'default');
    }
  }
}

function withDescendants(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withDescendants)];
}
