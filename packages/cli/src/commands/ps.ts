import type { Client } from '@longshore/client';
import { collect, type Define, examples } from '../command.ts';
import { addOutputOptions, type OutputOptions } from '../output/output-options.ts';
import { show } from '../output/show.ts';
import { type ContainerFilter, parseContainerFilters } from '../resources/container-filter.ts';
import { containerView } from '../resources/container-view.ts';
import { type ContainerList, type ListedContainer, listContainers } from '../resources/containers.ts';
import { clientsOf } from '../resources/namespaces.ts';
import type { ContainerStatus } from '../resources/statuses.ts';
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
  const client = await session.client();
  const { items, unreachable } = await listAll(client, options, filter);
  await show(session, items, viewOf(items, options), options);
  if (unreachable.length > 0) session.note(`longshore: no answer from ${unreachable.join(', ')}`);
}

async function listAll(client: Client, options: Options, filter: ContainerFilter): Promise<ContainerList> {
  const clients = await clientsOf(client, options.allNamespaces);
  const lists = await Promise.all(clients.map((each) => listContainers(each, filter.filters)));
  const items = lists.flatMap((list) => list.items).filter((item) => isWanted(item, options, filter));
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
