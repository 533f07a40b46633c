import type { DescService } from '@bufbuild/protobuf';
import type { ServiceClient } from '@longshore/rpc';

/** Calls of a server's services, in one scope: what images, content, snapshots and leases need of a connection. */
export interface Services {
  service<S extends DescService>(service: S): ServiceClient<S>;
  /** Whether the server is on this machine. */
  readonly isLocal: boolean;
  /** The node that is meant, where there are several. */
  readonly node: string | undefined;
  /** The lease of all calls; work that keeps several things together makes one of its own without it. */
  readonly lease: string | undefined;
}
