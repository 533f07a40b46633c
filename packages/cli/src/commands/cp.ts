import { type Define, examples } from '../command.ts';
import { type CopyPath, parseCopyPath } from '../copy/copy-path.ts';
import { archiveOf, copyFrom } from '../copy/from-container.ts';
import { copyTo, unpackInto } from '../copy/to-container.ts';
import { runningContainer } from '../resources/running-container.ts';
import type { Session } from '../session.ts';
import { streamTo } from '../terminal/outputs.ts';
import { UsageError } from '../usage-error.ts';

export const define: Define = (command, session) => {
  command
    .argument('<source>', 'CONTAINER:PATH, a path here, or - for a tar archive from standard input')
    .argument('<target>', 'CONTAINER:PATH, a path here, or - for a tar archive to standard output')
    .action(session.action((source: string, target: string) => cp(session, source, target)));
  command.addHelpText('after', '\nThe container must run, and have tar. "PATH/." is what is in a directory.');
  examples(
    command,
    ['A file from a container', 'longshore cp web:/etc/nginx/nginx.conf .'],
    ['What is in a directory, to a container', 'longshore cp ./public/. web:/usr/share/nginx/html'],
    ['As an archive', 'longshore cp db:/var/lib/data - | gzip > data.tar.gz'],
  );
};

async function cp(session: Session, sourceText: string, targetText: string): Promise<void> {
  const source = parseCopyPath(sourceText);
  const target = parseCopyPath(targetText);
  if (source.kind === 'container' && target.kind !== 'container') return take(session, source, target);
  if (target.kind === 'container' && source.kind !== 'container') return give(session, source, target);
  const problem = source.kind === 'container' ? 'between two containers' : 'no container';
  throw new UsageError(`cp: ${problem}`, 'One side is CONTAINER:PATH, the other a path here, or -.');
}

type Inside = Extract<CopyPath, { kind: 'container' }>;
type Here = Exclude<CopyPath, Inside>;

async function take(session: Session, { container, path }: Inside, target: Here): Promise<void> {
  const from = await runningContainer(await session.client(), container);
  if (target.kind === 'local') await copyFrom(from, path, target.path);
  else await archiveOf(from, path, streamTo(session.host.stdout));
}

async function give(session: Session, source: Here, { container, path }: Inside): Promise<void> {
  const to = await runningContainer(await session.client(), container);
  if (source.kind === 'local') await copyTo(to, source.path, path);
  else await unpackInto(to, path, session.host.stdin);
}
