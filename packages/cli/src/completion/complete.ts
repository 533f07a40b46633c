import type { Command, Option } from 'commander';
import type { Session } from '../session.ts';
import { namesOf } from './names.ts';

/** Words that may stand where the last of `words` is being typed; those before it are whole. */
export async function complete(
  program: Command,
  session: Session,
  words: readonly string[],
): Promise<string[]> {
  const typed = words.at(-1) ?? '';
  const { command, option, position } = await placeOf(program, session, words.slice(0, -1));
  const candidates = option
    ? await valuesOf(session, option)
    : typed.startsWith('-')
      ? await flagsFor(session, command, typed)
      : await wordsOf(session, command, position);
  return [...new Set(candidates)].filter((word) => word.startsWith(typed)).sort();
}

interface Place {
  command: Command;
  /** Whose value comes next. */
  option: Option | undefined;
  /** Of the next argument. */
  position: number;
}

async function placeOf(program: Command, session: Session, words: readonly string[]): Promise<Place> {
  let command = program;
  let option: Option | undefined;
  let position = 0;
  for (const word of words) {
    if (option) {
      option = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const found = optionsOf(command).find(({ short, long }) => word === short || word === long);
      option = found && (found.required || found.optional) ? found : undefined;
      continue;
    }
    const next = position === 0 ? childOf(command, word) : undefined;
    if (next) {
      command = next;
      await session.loadCommand(command);
    } else {
      position++;
    }
  }
  return { command, option, position };
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((each) => each.name() === word || each.aliases().includes(word));
}

/** Also those that stand before the command's name; a group's own are those of what it does by itself. */
function optionsOf(command: Command): Option[] {
  const byItself = childOf(command, 'ls');
  return [
    ...command.options,
    ...(byItself?.options ?? []),
    ...(command.parent ? optionsOf(command.parent) : []),
  ];
}

/** `--output=js` is an option with the beginning of its value. */
async function flagsFor(session: Session, command: Command, typed: string): Promise<string[]> {
  const [flag = ''] = typed.split('=', 1);
  if (flag === typed) return flagsOf(command);
  const option = optionsOf(command).find(({ long }) => long === flag);
  return option ? (await valuesOf(session, option)).map((value) => `${flag}=${value}`) : [];
}

function flagsOf(command: Command): string[] {
  return ['--help', ...optionsOf(command).map(({ long, short }) => long ?? short ?? '')];
}

async function wordsOf(session: Session, command: Command, position: number): Promise<string[]> {
  const subcommands = position === 0 ? command.commands.map((each) => each.name()) : [];
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[position] ?? (last?.variadic ? last : undefined);
  if (!argument) return subcommands;
  return [...subcommands, ...(argument.argChoices ?? (await namesOf(session, argument.name())))];
}

async function valuesOf(session: Session, option: Option): Promise<string[]> {
  const placeholder = /<([^>.]+)/.exec(option.flags)?.[1] ?? '';
  return option.argChoices ?? namesOf(session, placeholder);
}
