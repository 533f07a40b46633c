import type { Calls } from '../calls.ts';
import type { Session } from '../session.ts';
import { configPath, readConfig } from '../settings/config-file.ts';

/** A person waits no longer for a word. */
const TIMEOUT_MS = 2_000;

type List = (client: Calls, signal: AbortSignal) => Promise<string[]>;

/** By the name that arguments and values of options have in the help. */
const LISTS: Readonly<Record<string, List>> = {
  container: async (client, signal) => {
    const { Containers } = await import('@longshore/proto/containerd/services/containers/v1/containers');
    const { containers } = await client.service(Containers).list({}, { signal });
    return containers.map(({ id }) => id);
  },
  image: async (client, signal) => {
    const [{ Images }, { shortNameOf }] = await Promise.all([
      import('@longshore/proto/containerd/services/images/v1/images'),
      import('../resources/images.ts'),
    ]);
    const { images } = await client.service(Images).list({}, { signal });
    return images.flatMap(({ name }) => [shortNameOf(name), name]);
  },
  node: async (client, signal) => {
    const { NodeService } = await import('@longshore/proto/longshore/runtime/v1/nodes');
    const { nodes } = await client.service(NodeService).list({}, { signal });
    return nodes.map(({ id }) => id);
  },
  namespace: async (client, signal) => {
    const { Namespaces } = await import('@longshore/proto/containerd/services/namespaces/v1/namespace');
    const { namespaces } = await client.service(Namespaces).list({}, { signal });
    return namespaces.map(({ name }) => name);
  },
  lease: async (client, signal) => {
    const { Leases } = await import('@longshore/proto/containerd/services/leases/v1/leases');
    const { leases } = await client.service(Leases).list({}, { signal });
    return leases.map(({ id }) => id);
  },
  snapshot: async (client, signal) => {
    const { Snapshots } = await import('@longshore/proto/containerd/services/snapshots/v1/snapshots');
    const names: string[] = [];
    for await (const { info } of client.service(Snapshots).list({ snapshotter: 'overlayfs' }, { signal })) {
      names.push(...info.map(({ name }) => name));
    }
    return names;
  },
};

/** Of what may be any of several, those that people look into most. */
const OBJECTS = ['container', 'image', 'node'];

/** Names of the things of one kind; none for what is no such kind, or when nobody answers. */
export async function namesOf(session: Session, kind: string): Promise<string[]> {
  try {
    if (kind === 'context') return await contexts(session);
    if (kind === 'object') return (await Promise.all(OBJECTS.map((each) => namesOf(session, each)))).flat();
    const list = Object.hasOwn(LISTS, kind) ? LISTS[kind] : undefined;
    return list ? await list(await session.calls(), AbortSignal.timeout(TIMEOUT_MS)) : [];
  } catch {
    return [];
  }
}

async function contexts(session: Session): Promise<string[]> {
  const { contexts } = await readConfig(configPath(session.host.env));
  return ['local', ...Object.keys(contexts)];
}
