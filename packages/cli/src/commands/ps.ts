import type { Calls } from '../calls.ts';
import { collect, type Define, examples } from '../command.ts';
import { addOutputOptions, type OutputOptions } from '../output/output-options.ts';
import { show, shower } from '../output/show.ts';
import { type ContainerFilter, parseContainerFilters } from '../resources/container-filter.ts';
import { containerView } from '../resources/container-view.ts';
import { type ContainerList, type ListedContainer, listContainers } from '../resources/containers.ts';
import { clientsOf } from '../resources/namespaces.ts';
import type { ContainerStatus } from '../resources/statuses.ts';
import { type Watched, watchContainers } from '../resources/watch-containers.ts';
import type { Session } from '../session.ts';

interface Options extends OutputOptions {
  all?: boolean;
  allNamespaces?: boolean;
  filter?: string[];
  watch?: boolean;
}

const RUNNING: readonly ContainerStatus[] = ['running', 'paused', 'pausing', 'unknown'];

export const define: Define = (command, session) => {
  addOutputOptions(command)
    .option('-a, --all', 'also those that do not run')
    .option('-A, --all-namespaces', 'of every namespace')
    .option(
      '-f, --filter <filter>',
      "name=, id=, image=, label=, runtime=, status=; or containerd's language",
      collect,
    )
    .option('-w, --watch', 'go on: a row for each change')
    .action(session.action((options: Options) => ps(session, options)));
  examples(
    command,
    ['Those that run, on all nodes at a gateway', 'longshore ps'],
    ['All, with pids, runtimes and snapshotters', 'longshore ps -a -o wide'],
    [
      'Those that failed',
      "longshore ps -a -f status=exited -o json | jq '.[] | select(.exit_code != 0) | .id'",
    ],
    ['By label, on one node', 'longshore ps --node n1 -f label=tier=db'],
  );
};

async function ps(session: Session, options: Options): Promise<void> {
  const filter = parseContainerFilters(options.filter ?? []);
  const isShown = (item: ListedContainer) => isWanted(item, options, filter);
  if (options.watch) return watch(session, options, filter, isShown);
  const { items, unreachable } = await listAll(await session.calls(), options, filter);
  const shown = items.filter(isShown);
  await show(session, shown, viewOf(shown, options), options);
  tellOf(session, unreachable);
}

async function watch(
  session: Session,
  options: Options,
  filter: ContainerFilter,
  isShown: Watched['isShown'],
): Promise<void> {
  const signal = session.interrupted;
  const client = await session.client();
  const watched = { list: () => listAll(client, options, filter), isShown };
  const { allNamespaces } = options;
  let print: ((items: readonly ListedContainer[]) => Promise<void>) | undefined;
  try {
    for await (const { items, unreachable } of watchContainers(client, watched, { allNamespaces, signal })) {
      print ??= shower(session, viewOf(items, options), options);
      await print(items);
      tellOf(session, unreachable);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function tellOf(session: Session, unreachable: readonly string[]): void {
  if (unreachable.length > 0) session.note(`longshore: no answer from ${unreachable.join(', ')}`);
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

function viewOf(items: readonly ListedContainer[], options: Options) {
  return containerView({
    isShort: options.trunc !== false,
    showsNode: items.some(({ node }) => node !== ''),
    showsNamespace: options.allNamespaces === true,
  });
}
