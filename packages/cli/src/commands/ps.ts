import type { Calls } from '../calls.ts';
import { collect, type Define, examples } from '../command.ts';
import { addOutputOptions, addWatchOption, type WatchOptions } from '../output/output-options.ts';
import { show } from '../output/show.ts';
import { type ContainerFilter, parseContainerFilters } from '../resources/container-filter.ts';
import { containerView } from '../resources/container-view.ts';
import { type ContainerList, type ListedContainer, listContainers } from '../resources/containers.ts';
import { clientsOf } from '../resources/namespaces.ts';
import type { ContainerStatus } from '../resources/statuses.ts';
import type { Session } from '../session.ts';
import { followList, tellOfUnreachable } from '../watch/follow-list.ts';

interface Options extends WatchOptions {
  all?: boolean;
  allNamespaces?: boolean;
  filter?: string[];
}

const RUNNING: readonly ContainerStatus[] = ['running', 'paused', 'pausing', 'unknown'];

export const define: Define = (command, session) => {
  addWatchOption(addOutputOptions(command))
    .option('-a, --all', 'also those that do not run')
    .option('-A, --all-namespaces', 'of every namespace')
    .option(
      '-f, --filter <filter>',
      "name=, id=, image=, label=, runtime=, status=; or containerd's language",
      collect,
    )
    .action(session.action((options: Options) => ps(session, options)));
  examples(
    command,
    ['Those that run, on all nodes at a gateway', 'longshore ps'],
    ['All, with pids, runtimes and snapshotters', 'longshore ps -a -o wide'],
    [
      'Those that failed',
      "longshore ps -a -f status=exited -o json | jq '.[] | select(.exit_code != 0) | .id'",
    ],
    [
      'What comes and goes, as a table that is kept up to date, or for a script',
      'longshore ps -w; longshore ps -w -o json',
    ],
    ['By label, on one node', 'longshore ps --node n1 -f label=tier=db'],
  );
};

async function ps(session: Session, options: Options): Promise<void> {
  const filter = parseContainerFilters(options.filter ?? []);
  const isShown = (item: ListedContainer) => isWanted(item, options, filter);
  if (options.watch) return watch(session, options, filter, isShown);
  const client = await session.calls();
  const { items, unreachable } = await listAll(client, options, filter);
  const shown = items.filter(isShown);
  await show(session, shown, viewOf(hasNodes(client, shown), options), options);
  tellOfUnreachable(session, unreachable);
}

async function watch(
  session: Session,
  options: Options,
  filter: ContainerFilter,
  isShown: (item: ListedContainer) => boolean,
): Promise<void> {
  const client = await session.calls();
  await followList(session, {
    list: () => listAll(client, options, filter),
    keyOf: ({ namespace, node, record }) => `${namespace}/${node}/${record.id}`,
    nodeOf: ({ node }) => node,
    isShown,
    viewOf: (items) => viewOf(hasNodes(client, items), options),
    topics: ['/containers/', '/tasks/'],
    allNamespaces: options.allNamespaces,
    output: options,
  });
}

async function listAll(client: Calls, options: Options, filter: ContainerFilter): Promise<ContainerList> {
  const clients = await clientsOf(client, options.allNamespaces);
  const lists = await Promise.all(clients.map((each) => listContainers(each, filter.filters)));
  const items = lists.flatMap((list) => list.items);
  return { items, unreachable: [...new Set(lists.flatMap((list) => list.unreachable))] };
}

function isWanted({ status }: ListedContainer, { all }: Options, { statuses }: ContainerFilter): boolean {
  if (statuses.length > 0) return statuses.includes(status);
  return all || RUNNING.includes(status);
}

/** A gateway's containers are on nodes, one's own are not. */
function hasNodes(client: Calls, items: readonly ListedContainer[]): boolean {
  return !client.isLocal || items.some(({ node }) => node !== '');
}

function viewOf(showsNode: boolean, options: Options) {
  return containerView({
    isShort: options.trunc !== false,
    showsNode,
    showsNamespace: options.allNamespaces === true,
  });
}
