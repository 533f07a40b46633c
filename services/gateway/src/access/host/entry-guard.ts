import type { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { ServiceClient } from '@longshore/rpc';
import type { AccessControl } from '../access-control.ts';
import type { Caller } from '../caller.ts';
import { hostReasonOfContainer } from './container-reason.ts';
import type { HostReason } from './owns-host.ts';

const TIMEOUT_MS = 5_000;

/** A container that somebody is about to enter. */
export interface Entered {
  namespace: string;
  node: string;
  id: string;
  requestId: string;
}

/** Knows by the records of containers who may enter them. */
export class EntryGuard {
  readonly #access: Pick<AccessControl, 'authorizeHost'>;
  readonly #containers: Pick<ServiceClient<typeof Containers>, 'get'>;

  constructor(
    access: Pick<AccessControl, 'authorizeHost'>,
    containers: Pick<ServiceClient<typeof Containers>, 'get'>,
  ) {
    this.#access = access;
    this.#containers = containers;
  }

  /**
   * Answers why it needs the role `host`, if it does and the caller has it. Throws PermissionDenied when the caller lacks it;
   * NotFound, Unavailable when there is no record to go by.
   */
  async authorize(caller: Caller, { namespace, node, id, requestId }: Entered): Promise<HostReason> {
    if (caller.kind === 'local') return undefined;
    const headers = {
      [Header.Namespace]: namespace,
      [Header.Node]: node,
      [Header.RequestId]: requestId,
      [Header.Caller]: caller.name,
    };
    const { container } = await this.#containers.get(
      { id },
      { headers, deadline: new Date(Date.now() + TIMEOUT_MS) },
    );
    const found = hostReasonOfContainer(container);
    if (found === undefined) return undefined;
    const reason = `container ${JSON.stringify(id)} has the host, ${found}`;
    await this.#access.authorizeHost(caller, namespace, reason);
    return reason;
  }
}
