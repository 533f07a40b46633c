import { Connection } from './connection/connection.ts';
import type { ScopeOptions } from './connection/options.ts';

/**
 * A containerd, a longshore node, or a fleet by its gateways.
 *
 *     using client = new Client('/run/containerd/containerd.sock', { namespace: 'default' });
 */
export class Client extends Connection {
  /** The same connection in another scope. */
  in(scope: ScopeOptions): Client {
    return new Client(...this.viewOf(scope));
  }
}
