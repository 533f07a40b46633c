import { type Namespace, Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { collect, type Define, examples } from '../command.ts';
import { labelsText, parseLabelChanges, parseLabels } from '../labels.ts';
import { addOutputOptions, addWatchOption, type WatchOptions } from '../output/output-options.ts';
import { show, type View } from '../output/show.ts';
import { listNamespaces } from '../resources/namespaces.ts';
import type { Session } from '../session.ts';
import { followList } from '../watch/follow-list.ts';

export const define: Define = (command, session) => {
  const list = command.command('ls', { isDefault: true }).alias('list').description('List namespaces.');
  addWatchOption(addOutputOptions(list)).action(
    session.action((options: WatchOptions) => ls(session, options)),
  );
  command
    .command('create <name>')
    .description('Make a namespace. None has to be made: the first write in it does so too.')
    .option('-l, --label <key=value>', 'may be repeated', collect)
    .action(session.action((name: string, options: { label?: string[] }) => create(session, name, options)));
  command
    .command('label <name> <label...>')
    .description('Set labels (key=value), or remove them (key-).')
    .action(session.action((name: string, labels: string[]) => label(session, name, labels)));
  command
    .command('rm <name...>')
    .alias('remove')
    .description('Remove namespaces, which must be empty.')
    .action(session.action((names: string[]) => rm(session, names)));
  examples(
    command,
    ['What there is', 'longshore namespaces'],
    [
      'A namespace, and where new containers of it keep their files',
      'longshore ns create ci -l containerd.io/defaults/snapshotter=overlayfs',
    ],
  );
};

async function ls(session: Session, options: WatchOptions): Promise<void> {
  const client = await session.calls();
  if (!options.watch) return show(session, await listNamespaces(client), VIEW, options);
  await followList(session, {
    list: async () => ({ items: await listNamespaces(client) }),
    keyOf: ({ name }) => name,
    viewOf: () => VIEW,
    topics: ['/namespaces/'],
    // A namespace's own events are in it.
    allNamespaces: true,
    output: options,
  });
}

async function create(session: Session, name: string, options: { label?: string[] }): Promise<void> {
  const client = await session.calls();
  await client.service(Namespaces).create({ namespace: { name, labels: parseLabels(options.label ?? []) } });
  session.line(name);
}

async function label(session: Session, name: string, texts: string[]): Promise<void> {
  const changes = parseLabelChanges(texts);
  const labels = Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, value ?? '']));
  const client = await session.calls();
  const paths = Object.keys(labels).map((key) => `labels.${key}`);
  await client.service(Namespaces).update({ namespace: { name, labels }, updateMask: { paths } });
  session.line(name);
}

async function rm(session: Session, names: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(names, (name) => client.service(Namespaces).delete({ name }));
}

const VIEW: View<Namespace> = {
  columns: [
    { header: 'NAME', value: ({ name }) => name },
    { header: 'LABELS', value: ({ labels }) => labelsText(labels), shrinks: true },
  ],
  name: ({ name }) => name,
  document: ({ name, labels }) => ({ name, labels }),
};
