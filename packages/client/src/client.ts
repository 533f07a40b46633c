import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import { withLease } from '@longshore/transfer';
import { Connection } from './connection/connection.ts';
import type { ScopeOptions } from './connection/options.ts';
import { Container } from './containers/container.ts';
import type { ContainerOption } from './containers/container-draft.ts';
import type { ContainerInfo } from './containers/container-info.ts';
import { type ListOptions, listContainers } from './containers/list-containers.ts';
import { newContainer } from './containers/new-container.ts';

/**
 * A containerd, a longshore node, or a fleet by its gateways.
 *
 *     using client = new Client('/run/containerd/containerd.sock', { namespace: 'default' });
 */
export class Client extends Connection {
  /** The same connection in another scope. */
  override in(scope: ScopeOptions): Client {
    return new Client(...this.viewOf(scope));
  }

  /** Records a container; options are taken in their order, an object among them is for the calls that are made. */
  newContainer(id: string, ...options: readonly (ContainerOption | CallOptions)[]): Promise<Container> {
    const steps = options.filter((option) => typeof option === 'function');
    const call = Object.assign({}, ...options.filter((option) => typeof option !== 'function'));
    return newContainer(this, id, steps, call);
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

  /** Work whose results are not collected before it is done: what calls of the client that it gets make is kept until then. */
  withLease<T>(work: (leased: Client) => Promise<T>, options: CallOptions = {}): Promise<T> {
    return withLease(this.service(Leases), options, ({ headers }) =>
      work(this.in({ lease: headers?.[Header.Lease] ?? this.lease })),
    );
  }
}
