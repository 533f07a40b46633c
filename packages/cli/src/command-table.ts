import type { Define } from './command.ts';

export interface CommandEntry {
  summary: string;
  aliases?: readonly string[];
  group: string;
  load(): Promise<{ define: Define }>;
}

const CONTAINERS = 'Containers:';
const OTHER = 'This command:';

/** Every command, in the order of the help. Its file is read when it is used, no sooner: a start is most of what a short command takes. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  ps: {
    summary: 'list containers',
    group: CONTAINERS,
    load: () => import('./commands/ps.ts'),
  },
  version: {
    summary: 'show versions of this command and of the server',
    group: OTHER,
    load: () => import('./commands/version.ts'),
  },
  context: {
    summary: 'where this command connects to, and as whom',
    aliases: ['contexts'],
    group: OTHER,
    load: () => import('./commands/context.ts'),
  },
};
