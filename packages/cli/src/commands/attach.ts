import { streams } from '@longshore/client';
import { type Define, examples } from '../command.ts';
import { runningContainer } from '../resources/running-container.ts';
import type { Session } from '../session.ts';
import { stayWith } from '../terminal/foreground.ts';
import { outputsOf } from '../terminal/outputs.ts';
import { openInput } from '../terminal/typed-input.ts';

interface Options {
  stdin: boolean;
  sigProxy: boolean;
  detachKeys: string;
}

export const define: Define = (command, session) => {
  command
    .argument('<container>', 'id, or beginning of an id')
    .option('--no-stdin', 'only look on')
    .option('--no-sig-proxy', 'keep signals to this command from it')
    .option('--detach-keys <keys>', 'let go of it by these keys', 'ctrl-p,ctrl-q')
    .action(session.action((name: string, options: Options) => attach(session, name, options)));
  examples(
    command,
    ['Back to a shell; ctrl-p ctrl-q lets go of it again', 'longshore attach shell'],
    ['Look on', 'longshore attach --no-stdin --no-sig-proxy web'],
  );
};

async function attach(session: Session, name: string, options: Options): Promise<void> {
  const { host } = session;
  const container = await runningContainer(await session.client(), name);
  const { stdio } = await (await container.task()).status();
  const { terminal } = stdio;
  const interactive = options.stdin && (!terminal || host.stdin.isTTY === true);
  using input = openInput(host, { interactive, terminal, detachKeys: options.detachKeys });
  const io = streams({ stdin: input.stream, ...outputsOf(host), terminal });
  const task = await container.task({ io });
  const status = await stayWith(task, {
    host,
    terminal,
    forwardsSignals: options.sigProxy && !terminal,
    detached: input.detached,
  });
  if (status) session.exitCode = status.code;
  else task.io?.close();
}
