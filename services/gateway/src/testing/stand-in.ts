import { EventEmitter, once } from 'node:events';
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
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { Header, ReservedLabel } from '@longshore/proto/headers';
import { EventService } from '@longshore/proto/longshore/events/v1/events';
import { NO_TLS, type TlsFiles } from '@longshore/transport';
import { StandInRegistry } from './stand-in-registry.ts';

export const TIMES = { createdAt: { seconds: 1n }, updatedAt: { seconds: 1n } };

/** A call that came: `<server> <service>/<method>`, and its scope. */
export interface Seen {
  at: string;
  namespace: string | undefined;
  node: string;
  requestId: string;
  /** Who calls, as the gateway says. */
  caller: string | undefined;
  /** Of a header that callers may not set. */
  liveTasks: string | undefined;
  authorization: string | undefined;
}

/**
 * A server in the place of a service or an agent: it answers everything that the gateway may pass to it, and tells what
 * came. Routing does not look at more.
 */
export class StandIn {
  readonly seen: Seen[] = [];
  /** What it knows of nodes, as the runtime service. */
  readonly registry = new StandInRegistry((call) => this.answer(call));
  /** Ids of the containers that it lists; each has a task that runs. */
  readonly containers: string[];
  /** What is more in the records of containers, by id. */
  readonly specs = new Map<string, { spec: { typeUrl: string; value: Uint8Array } }>();
  /** Throws what everything but the registry is to be refused with, or waits. */
  trouble: (call: Call) => Promise<void> = async () => undefined;
  /** Of content. */
  sentBytes = 0;
  /** To all who have subscribed, and how many of them are there. */
  toldEvents = 0;
  subscribers = 0;
  readonly events: { namespace: string; topic: string }[] = [];
  readonly #news = new EventEmitter();
  readonly #name: string;
  readonly #server = new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));

  constructor(name: string) {
    this.#name = name;
    this.containers = [`of-${name}`];
    this.#addFleet();
    this.#addContainers();
    this.#addNodeServices();
    this.registry.addTo(this.#server);
  }

  async listen(address: string, tls: TlsFiles = NO_TLS): Promise<string> {
    return this.#server.listen(address, tls);
  }

  close(): Promise<void> {
    return this.#server.close(0);
  }

  /** To those who subscribe, also later. */
  publish(namespace: string, topic: string): void {
    this.events.push({ namespace, topic });
    this.#news.emit('event');
  }

  /** Notes the call, and has the trouble that there is. */
  async answer(call: Call): Promise<void> {
    this.seen.push({
      at: `${this.#name} ${call.method.split('.').at(-1)}`,
      namespace: call.header('containerd-namespace'),
      node: call.node,
      requestId: call.requestId,
      caller: call.caller,
      liveTasks: call.header(Header.LiveTasks),
      authorization: call.header('authorization'),
    });
    await this.trouble(call);
  }

  #addFleet(): void {
    const image = {
      name: `of ${this.#name}`,
      target: { mediaType: 'm', digest: 'sha256:1', size: 7n },
      ...TIMES,
    };
    this.#server.add(Images, {
      list: (_, call) => this.#with(call, { images: [image] }),
      create: (_, call) => {
        call.reportEvent({
          namespace: 'a',
          topic: '/images/create',
          typeUrl: 't',
          payload: new Uint8Array(),
        });
        return this.#with(call, {});
      },
    });
    this.#server.add(Namespaces, {
      list: (_, call) => this.#with(call, { namespaces: [{ name: 'default', labels: { of: this.#name } }] }),
      create: (_, call) => this.#with(call, {}),
    });
    this.#server.add(Content, {
      info: (_, call) => this.#with(call, {}),
      read: (_, call) => this.#endless(call),
    });
    this.#server.add(Events, { publish: (_, call) => this.#with(call, {}) });
    this.#server.add(EventService, {
      subscribe: (_, call) => this.#told(call, call.namespace),
      subscribeFleet: (_, call) => this.#told(call, undefined),
    });
    this.#server.add(Version, { version: (_, call) => this.#with(call, { version: this.#name }) });
    this.#server.add(Transfer, { transfer: (_, call) => this.#with(call, {}) });
  }

  #addContainers(): void {
    const records = (call: Call, filters: string[]) =>
      this.containers.map((id) => ({
        id,
        runtime: { name: 'r' },
        image: filters.join(' '),
        ...TIMES,
        labels: this.registry.marked.has(`${call.node}/${id}`) ? { [ReservedLabel.Deleting]: 'true' } : {},
      }));
    const answer = this.answer.bind(this);
    this.#server.add(Containers, {
      list: (request, call) => this.#with(call, { containers: records(call, request.filters) }),
      async *listStream({ filters }, call) {
        await answer(call);
        for (const container of records(call, filters)) yield { container };
      },
      get: ({ id }, call) => this.#with(call, { container: { id, ...this.specs.get(id) } }),
      update: (_, call) => this.#with(call, {}),
      create: (_, call) => this.#with(call, {}),
      delete: async ({ id }, call) => {
        if (!this.containers.includes(id)) throw notFound(`container ${JSON.stringify(id)}`);
        return this.#with(call, {});
      },
    });
  }

  #addNodeServices(): void {
    const answer = this.answer.bind(this);
    const name = this.#name;
    this.#server.add(Snapshots, {
      stat: (_, call) => this.#with(call, {}),
      prepare: (_, call) => this.#with(call, {}),
      async *list(_, call) {
        await answer(call);
        yield { info: [{ name: `of ${name}`, ...TIMES }] };
      },
    });
    this.#server.add(Store, {
      create: (_, call) => this.#with(call, {}),
      list: (_, call) => this.#with(call, { list: [{ sandboxId: `of-${name}` }] }),
    });
    const tasks = () => this.containers.map((id) => ({ id, pid: 1, status: Status.RUNNING }));
    this.#server.add(Tasks, {
      get: ({ containerId }, call) =>
        this.#with(call, { process: tasks().find(({ id }) => id === containerId) ?? {} }),
      exec: (_, call) => this.#with(call, {}),
      list: (_, call) => this.#with(call, { tasks: tasks() }),
    });
    this.#server.add(Introspection, { server: (_, call) => this.#with(call, { uuid: name }) });
  }

  /** Content without an end, as fast as it is read. */
  async *#endless(call: Call) {
    await this.answer(call);
    const data = new Uint8Array(64 * 1024);
    for (;;) {
      this.sentBytes += data.length;
      yield { data };
    }
  }

  /** What there is of events, and what comes. */
  async *#told(call: Call, namespace: string | undefined) {
    await this.answer(call);
    this.subscribers++;
    call.signal.addEventListener('abort', () => this.subscribers--);
    yield { sequence: 0n };
    for (let next = 0; !call.signal.aborted; ) {
      const envelope = this.events[next];
      if (envelope === undefined) await this.#published(call.signal);
      else if (++next && (namespace ?? envelope.namespace) === envelope.namespace) {
        this.toldEvents++;
        yield { sequence: BigInt(next), event: { id: String(next), envelope } };
      }
    }
  }

  async #published(signal: AbortSignal): Promise<void> {
    await once(this.#news, 'event', { signal }).catch(() => undefined);
  }

  async #with<T>(call: Call, answer: T): Promise<T> {
    await this.answer(call);
    return answer;
  }
}
