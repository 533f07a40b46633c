import { invalidArgument, notFound } from '@longshore/errors';
import { type Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { ReservedLabel } from '@longshore/proto/headers';
import type { Calls } from '../calls.ts';
import { nearest } from '../nearest.ts';
import { UnreachableError, unreachableIn } from './unreachable.ts';

export interface FoundContainer<C extends Calls = Calls> {
  record: Container;
  /** In the scope that the container is in: at a gateway, of its node. */
  client: C;
}

/** nerdctl names containers by this label, whose ids are random. */
const NAME_LABEL = 'nerdctl/name';

/**
 * The container that a person means: by its id, by an id's beginning that no other has, or by the name that nerdctl gave it. Throws
 * NotFound, with a suggestion, and InvalidArgument for what several have; UnreachableError when it may be on a node that did not answer.
 */
export async function findContainer<C extends Calls>(client: C, typed: string): Promise<FoundContainer<C>> {
  const exact = await list(client, [`id==${JSON.stringify(typed)}`]);
  if (exact.records.length > 0) return onlyOne(client, typed, exact.records);
  const { records, unreachable } = await list(client, []);
  const named = records.filter(({ labels }) => labels[NAME_LABEL] === typed);
  const meant = named.length > 0 ? named : records.filter(({ id }) => typed !== '' && id.startsWith(typed));
  if (meant.length > 0) return onlyOne(client, typed, meant);
  if (unreachable.length > 0) throw new UnreachableError(`container "${typed}"`, unreachable);
  throw unknown(client, typed, records);
}

function onlyOne<C extends Calls>(client: C, typed: string, found: readonly Container[]): FoundContainer<C> {
  const [record] = found as [Container];
  const node = record.labels[ReservedLabel.Node];
  if (found.length === 1) return { record, client: node === undefined ? client : (client.in({ node }) as C) };
  const ids = new Set(found.map(({ id }) => id));
  if (ids.size > 1)
    throw invalidArgument(`container "${typed}": may be any of ${[...ids].slice(0, 5).join(', ')}`);
  const nodes = found.map(({ labels }) => labels[ReservedLabel.Node]).join(', ');
  const error = invalidArgument(`container "${typed}": on several nodes: ${nodes}`);
  throw Object.assign(error, { hint: 'Say which one is meant: --node ID.' });
}

async function list(client: Calls, filters: string[]) {
  const unreachable = new Set<string>();
  const answer = client
    .service(Containers)
    .listStream({ filters }, { onTrailers: unreachableIn(unreachable) });
  const records: Container[] = [];
  for await (const { container } of answer) if (container) records.push(container);
  return { records, unreachable: [...unreachable] };
}

function unknown(client: Calls, typed: string, records: readonly Container[]): Error {
  const names = records.flatMap(({ id, labels }) => [id, labels[NAME_LABEL] ?? id]);
  const near = nearest(typed, new Set(names));
  const error = notFound(`container "${typed}" in namespace "${client.namespace}"`);
  return Object.assign(error, {
    hint: near
      ? `Did you mean "${near}"?`
      : '"longshore ps -a" lists those that are there; -n names another namespace.',
  });
}
