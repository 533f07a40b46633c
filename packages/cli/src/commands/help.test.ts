import { spawnSync } from 'node:child_process';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../command-table.ts';
import { SCRIPTS } from '../completion/shells.ts';
import type { Host } from '../host.ts';
import { buildProgram } from '../program.ts';
import { Session } from '../session.ts';

const silent = { write: () => true };
const host = { env: {}, stdout: silent, stderr: silent } as unknown as Host;

function helpOf(command: Command): string {
  let text = '';
  const writeOut = (part: string) => {
    text += part;
  };
  command.configureOutput({ writeOut });
  command.outputHelp();
  return text;
}

describe('every command', () => {
  it.each(Object.keys(COMMANDS))('%s has examples in its help, and no option twice', async (verb) => {
    const session = new Session(host);
    const program = buildProgram(session);
    const command = program.commands.find((each) => each.name() === verb)!;
    await session.loadCommand(command);
    expect(helpOf(command)).toMatch(new RegExp(`Examples:\\n  # .+\\n  .*longshore ${verb}`));
    for (const each of [command, ...command.commands]) {
      const flags = each.options.flatMap(({ short, long }) => [short, long].filter(Boolean));
      expect(flags).toEqual([...new Set(flags)]);
    }
  });
});

describe('completion', () => {
  it('is a script that bash understands', () => {
    expect(spawnSync('bash', ['-n'], { input: SCRIPTS.bash })).toMatchObject({ status: 0 });
  });
});
