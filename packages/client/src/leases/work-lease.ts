import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import { withLease } from '@longshore/transfer';
import type { Services } from '../services.ts';

/** Does work whose results must not be collected before something refers to them: under the scope's lease, or one for the work alone. */
export function underLease<T>(services: Services, work: (options: CallOptions) => Promise<T>): Promise<T> {
  const { lease } = services;
  const headers = lease === undefined ? {} : { [Header.Lease]: lease };
  return withLease(services.service(Leases), { headers }, work);
}
