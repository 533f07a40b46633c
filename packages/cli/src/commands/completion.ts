import { Argument } from 'commander';
import { type Define, examples } from '../command.ts';
import { SCRIPTS } from '../completion/shells.ts';

export const define: Define = (command, session) => {
  command
    .addArgument(new Argument('<shell>', 'that is to complete').choices(Object.keys(SCRIPTS)))
    .action(session.action((shell: string) => void session.host.stdout.write(SCRIPTS[shell]!)));
  examples(
    command,
    [
      'Bash, now and from now on',
      'source <(longshore completion bash); longshore completion bash > ~/.local/share/bash-completion/completions/longshore',
    ],
    ['Zsh', 'longshore completion zsh > ~/.zfunc/_longshore'],
    ['Fish', 'longshore completion fish > ~/.config/fish/completions/longshore.fish'],
  );
};
