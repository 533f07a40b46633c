import { type Info, Kind, Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { ReservedLabel } from '@longshore/proto/headers';
import { mapAtMost } from '../at-most.ts';
import type { Calls } from '../calls.ts';
import { collect, type Define, examples } from '../command.ts';
import { addOutputOptions, addWatchOption, type WatchOptions } from '../output/output-options.ts';
import { ageText, sizeText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import { unreachableIn } from '../resources/unreachable.ts';
import type { Session } from '../session.ts';
import { followList, tellOfUnreachable } from '../watch/follow-list.ts';

interface Options extends WatchOptions {
  snapshotter: string;
  size?: boolean;
  filter?: string[];
}

interface Listed {
  info: Info;
  node: string;
  /** Undefined when it was not asked for. */
  sizeBytes: number | undefined;
}

/** Sizes that are asked for at once: those of active snapshots are measured. */
const WIDTH = 8;
const KINDS = {
  [Kind.UNKNOWN]: 'unknown',
  [Kind.VIEW]: 'view',
  [Kind.ACTIVE]: 'active',
  [Kind.COMMITTED]: 'committed',
};
const DEFAULT_SNAPSHOTTER = 'overlayfs';

export const define: Define = (command, session) => {
  const list = command.command('ls', { isDefault: true }).alias('list').description('List snapshots.');
  addWatchOption(addOutputOptions(list))
    .option('--snapshotter <name>', 'that keeps them', DEFAULT_SNAPSHOTTER)
    .option('-s, --size', 'with the size of each one, without what is below it')
    .option('-f, --filter <filter>', "in containerd's language: kind==active, parent==…, labels.…", collect)
    .action(session.action((options: Options) => ls(session, options)));
  command
    .command('rm <snapshot...>')
    .alias('remove')
    .description('Remove snapshots, upper ones before those that they stand on.')
    .option('--snapshotter <name>', 'that keeps them', DEFAULT_SNAPSHOTTER)
    .action(session.action((keys: string[], options: Options) => rm(session, keys, options)));
  examples(
    command,
    ['The file systems of containers, and their sizes', 'longshore snapshots -s -f kind==active'],
    ['What one stands on', "longshore snapshots -o json | jq '.[] | {name, parent}'"],
  );
};

async function ls(session: Session, options: Options): Promise<void> {
  const client = await session.calls();
  if (!options.watch) {
    const { items, unreachable } = await listSnapshots(client, options);
    await show(session, items, viewOf(items, options), options);
    tellOfUnreachable(session, unreachable);
    return;
  }
  await followList(session, {
    list: () => listSnapshots(client, options),
    keyOf: ({ node, info }) => `${node}/${info.name}`,
    nodeOf: ({ node }) => node,
    viewOf: (items) => viewOf(items, options),
    topics: ['/snapshot/'],
    output: options,
  });
}

async function listSnapshots(client: Calls, { snapshotter, filter: filters = [], size }: Options) {
  const unreachable = new Set<string>();
  const infos: Info[] = [];
  const answers = client
    .service(Snapshots)
    .list({ snapshotter, filters }, { onTrailers: unreachableIn(unreachable) });
  for await (const { info } of answers) infos.push(...info);
  infos.sort((a, b) => (a.name < b.name ? -1 : 1));
  const items = await mapAtMost(WIDTH, infos, async (info): Promise<Listed> => {
    const node = info.labels[ReservedLabel.Node] ?? '';
    const scoped = node ? client.in({ node }) : client;
    return { info, node, sizeBytes: size ? await sizeOf(scoped, snapshotter, info.name) : undefined };
  });
  return { items, unreachable: [...unreachable].sort() };
}

async function sizeOf(client: Calls, snapshotter: string, key: string): Promise<number> {
  return Number((await client.service(Snapshots).usage({ snapshotter, key })).size);
}

async function rm(session: Session, keys: string[], { snapshotter }: Options): Promise<void> {
  const client = await session.calls();
  await session.each(keys, (key) => client.service(Snapshots).remove({ snapshotter, key }));
}

function viewOf(listed: readonly Listed[], { trunc, size }: Options): View<Listed> {
  const short = (name: string) =>
    trunc === false ? name : name.replace(/^(sha256:[0-9a-f]{12})[0-9a-f]{52}$/, '$1');
  const hasNodes = listed.some(({ node }) => node !== '');
  return {
    columns: [
      { header: 'KEY', value: ({ info }) => short(info.name), shrinks: true },
      { header: 'PARENT', value: ({ info }) => short(info.parent), shrinks: true },
      { header: 'KIND', value: ({ info }) => KINDS[info.kind] },
      { header: 'CREATED', value: ({ info }) => ageText(info.createdAt) },
      ...(size ? [{ header: 'SIZE', value: ({ sizeBytes = 0 }: Listed) => sizeText(sizeBytes) }] : []),
      ...(hasNodes ? [{ header: 'NODE', value: ({ node }: Listed) => node }] : []),
    ],
    name: ({ info }) => info.name,
    document: ({ info, node, sizeBytes }) => ({
      name: info.name,
      parent: info.parent || null,
      kind: KINDS[info.kind],
      node: node || null,
      labels: info.labels,
      ...(sizeBytes !== undefined && { size_bytes: sizeBytes }),
      created_at: timeOf(info.createdAt),
      updated_at: timeOf(info.updatedAt),
    }),
  };
}
