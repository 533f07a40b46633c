import type { Client } from '@longshore/client';
import { type Namespace, Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';

export async function listNamespaces(client: Client): Promise<Namespace[]> {
  return (await client.service(Namespaces).list({})).namespaces;
}

/** A client of each of the namespaces, or of the one that is meant. */
export async function clientsOf(client: Client, all: boolean | undefined): Promise<Client[]> {
  if (!all) return [client];
  return (await listNamespaces(client)).map(({ name }) => client.in({ namespace: name }));
}
