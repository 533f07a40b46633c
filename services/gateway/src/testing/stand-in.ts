import { notFound } from '@longshore/errors';
import { type Call, createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Events } from '@longshore/proto/containerd/services/events/v1/events';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Introspection } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Store } from '@longshore/proto/containerd/services/sandbox/v1/sandbox';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';

const TIMES = { createdAt: { seconds: 1n }, updatedAt: { seconds: 1n } };
const NO_TLS = { tlsCert: '', tlsKey: '', tlsCa: '' };

/** A call that came: `<server> <service>/<method>`, and its scope. */
export interface Seen {
  at: string;
  namespace: string | undefined;
  node: string;
  requestId: string;
}

/**
 * A server in the place of a service or an agent: it answers everything that the gateway may pass to it, and tells what
 * came. Routing does not look at more.
 */
export class StandIn {
  readonly seen: Seen[] = [];
  readonly nodes = new Map<string, string>();
  readonly #name: string;
  readonly #server = new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));

  constructor(name: string) {
    this.#name = name;
    const image = {
      name: `of ${name}`,
      target: { mediaType: 'm', digest: 'sha256:1', size: 7n },
      ...TIMES,
    };
    this.#server.add(Images, {
      list: (_, call) => this.#answer(call, { images: [image] }),
      create: (_, call) => {
        call.reportEvent({
          namespace: 'a',
          topic: '/images/create',
          typeUrl: 't',
          payload: new Uint8Array(),
        });
        return this.#answer(call, {});
      },
    });
    this.#server.add(Namespaces, {
      list: (_, call) => this.#answer(call, { namespaces: [{ name: 'default', labels: { of: name } }] }),
    });
    this.#server.add(Containers, {
      list: (_, call) =>
        this.#answer(call, { containers: [{ id: `of-${name}`, runtime: { name: 'r' }, ...TIMES }] }),
      create: (_, call) => this.#answer(call, {}),
    });
    this.#server.add(Snapshots, {
      stat: (_, call) => this.#answer(call, {}),
      prepare: (_, call) => this.#answer(call, {}),
    });
    this.#server.add(Store, { create: (_, call) => this.#answer(call, {}) });
    this.#server.add(Tasks, { get: (_, call) => this.#answer(call, {}) });
    this.#server.add(Introspection, { server: (_, call) => this.#answer(call, { uuid: name }) });
    this.#server.add(Version, { version: (_, call) => this.#answer(call, { version: name }) });
    this.#server.add(Events, { publish: (_, call) => this.#answer(call, {}) });
    this.#server.add(Content, { info: (_, call) => this.#answer(call, {}) });
    this.#server.add(NodeService, {
      get: async ({ id }, call) => this.#answer(call, { node: { id, address: this.#addressOf(id) } }),
      list: async (_, call) =>
        this.#answer(call, {
          nodes: [...this.nodes].map(([id, address]) => ({
            id,
            address,
            cgroupVersion: 2,
            createdAt: TIMES.createdAt,
            lastSeenAt: TIMES.updatedAt,
          })),
        }),
    });
  }

  async listen(address: string): Promise<string> {
    return this.#server.listen(address, NO_TLS);
  }

  close(): Promise<void> {
    return this.#server.close(0);
  }

  async #answer<T>(call: Call, answer: T): Promise<T> {
    this.seen.push({
      at: `${this.#name} ${call.method.split('.').at(-1)}`,
      namespace: call.header('containerd-namespace'),
      node: call.node,
      requestId: call.requestId,
    });
    return answer;
  }

  #addressOf(id: string): string {
    const address = this.nodes.get(id);
    if (address === undefined) throw notFound(`node ${JSON.stringify(id)}`);
    return address;
  }
}
