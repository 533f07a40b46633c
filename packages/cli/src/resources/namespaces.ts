import { type Namespace, Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import type { Calls } from '../calls.ts';

export async function listNamespaces(client: Calls): Promise<Namespace[]> {
  return (await client.service(Namespaces).list({})).namespaces;
}

/** A client of each of the namespaces, or of the one that is meant. */
export async function clientsOf(client: Calls, all: boolean | undefined): Promise<Calls[]> {
  if (!all) return [client];
  return (await listNamespaces(client)).map(({ name }) => client.in({ namespace: name }));
}
