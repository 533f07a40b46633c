import type { Descriptor } from '@longshore/oci';
import type { Plugin } from '@longshore/proto/containerd/services/introspection/v1/introspection';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import { Connection } from './connection/connection.ts';
import type { ScopeOptions } from './connection/options.ts';
import { Container } from './containers/container.ts';
import { type ContainerOption, stepsAndCall } from './containers/container-draft.ts';
import type { ContainerInfo } from './containers/container-info.ts';
import { type ListOptions, listContainers } from './containers/list-containers.ts';
import { newContainer } from './containers/new-container.ts';
import { ContentStore } from './content/content-store.ts';
import { Differ } from './diff/differ.ts';
import { EventStream } from './events/events.ts';
import { type Change, listThenWatch } from './events/list-then-watch.ts';
import { WATCHABLES, type Watchable, type WatchedItems } from './events/watchable.ts';
import type { ExportOptions } from './images/export.ts';
import type { Image } from './images/image.ts';
import { ImageStore } from './images/image-store.ts';
import type { ImportOptions } from './images/import.ts';
import type { PullOptions } from './images/pull-options.ts';
import type { PushOptions } from './images/push.ts';
import { LeaseManager } from './leases/leases.ts';
import { underLease } from './leases/work-lease.ts';
import { Namespaces } from './namespaces.ts';
import {
  type ServerIdentity,
  type ServerVersion,
  serverIdentity,
  serverPlugins,
  serverVersion,
} from './server-info.ts';
import { Snapshotter } from './snapshots/snapshotter.ts';
import { listTasks, type TaskInfo } from './tasks/list-tasks.ts';

/**
 * A containerd, a longshore node, or a fleet by its gateways.
 *
 *     using client = new Client('/run/containerd/containerd.sock', { namespace: 'default' });
 */
export class Client extends Connection {
  #images: ImageStore | undefined;

  get images(): ImageStore {
    this.#images ??= new ImageStore(this);
    return this.#images;
  }

  get content(): ContentStore {
    return new ContentStore(this);
  }

  get diff(): Differ {
    return new Differ(this);
  }

  get leases(): LeaseManager {
    return new LeaseManager(this);
  }

  get namespaces(): Namespaces {
    return new Namespaces(this);
  }

  get events(): EventStream {
    return new EventStream(this);
  }

  /** The same connection in another scope. */
  override in(scope: ScopeOptions): Client {
    return new Client(...this.viewOf(scope));
  }

  /** Default overlayfs. */
  snapshots(snapshotter?: string): Snapshotter {
    return new Snapshotter(this, snapshotter);
  }

  /** Brings an image to the server. */
  pull(reference: string, options?: PullOptions): Promise<Image> {
    return this.images.pull(reference, options);
  }

  /** Puts an image to a registry, and answers what was put. Throws NotFound for one that is not recorded. */
  push(name: string, options?: PushOptions): Promise<Descriptor> {
    return this.images.push(name, options);
  }

  /** Stores and records the images of an archive. */
  import(archive: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<Image[]> {
    return this.images.import(archive, options);
  }

  /** One archive of images, by their names. Throws NotFound. */
  export(names: readonly string[], options?: ExportOptions): AsyncIterable<Buffer> {
    return this.images.export(names, options);
  }

  /** An image by its full name. Throws NotFound. */
  image(name: string, options?: CallOptions): Promise<Image> {
    return this.images.get(name, options);
  }

  /** Records a container; options are taken in their order, an object among them is for the calls that are made. */
  newContainer(id: string, ...options: readonly (ContainerOption | CallOptions)[]): Promise<Container> {
    return newContainer(this, id, ...stepsAndCall(options));
  }

  /** Throws NotFound. */
  async container(id: string, options?: CallOptions): Promise<Container> {
    const container = new Container(this, id);
    await container.info(options);
    return container;
  }

  containers(options: ListOptions = {}): AsyncIterable<ContainerInfo> {
    return listContainers(this, options);
  }

  tasks(options?: CallOptions): AsyncIterable<TaskInfo> {
    return listTasks(this, options);
  }

  /**
   * What there is of one kind, then each change, without a gap: first those that there are, then `synced`, then changes; `reset` after an
   * outage.
   */
  watch<K extends keyof WatchedItems>(kind: K, signal?: AbortSignal): AsyncIterable<Change<WatchedItems[K]>> {
    return listThenWatch(this, WATCHABLES[kind] as Watchable<WatchedItems[K]>, signal);
  }

  version(options?: CallOptions): Promise<ServerVersion> {
    return serverVersion(this, options);
  }

  server(options?: CallOptions): Promise<ServerIdentity> {
    return serverIdentity(this, options);
  }

  plugins(filters?: readonly string[], options?: CallOptions): Promise<Plugin[]> {
    return serverPlugins(this, filters, options);
  }

  /** Work whose results are not collected before it is done: what calls of the client that it gets make is kept until then. */
  withLease<T>(work: (leased: Client) => Promise<T>): Promise<T> {
    return underLease(this, ({ headers }) => work(this.in({ lease: headers?.[Header.Lease] })));
  }
}
