import { isKind, messageOf, notFound } from '@longshore/errors';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { CallOptions, ServiceClient } from './create-client.ts';
import type { Warnings } from './warnings.ts';

/** A call that may name a lease: the kit's `Call`. */
export interface LeasedCall {
  readonly lease: string | undefined;
  readonly log: Warnings;
  forward(): CallOptions;
}

/** Keeps names of one type, e.g. `images`, from the garbage collector on behalf of one call. */
export interface CallLease {
  /**
   * Resolves once the name is kept. Call it before the record is written: a name without a record is harmless.
   * Throws NotFound when the lease does not exist.
   */
  keep(name: string): Promise<void>;
  /** For a name that is gone. Never throws: the change is made, and a name that stays kept does no harm. */
  release(name: string): Promise<void>;
}

/** The lease that a call's header names; undefined without the header. Source: services/content/README.md. */
export function leaseOf(
  call: LeasedCall,
  leases: ServiceClient<typeof Leases>,
  type: string,
): CallLease | undefined {
  const id = call.lease;
  if (id === undefined) return undefined;
  const resource = (name: string) => ({ id, resource: { id: name, type } });
  return {
    async keep(name) {
      try {
        await leases.addResource(resource(name), call.forward());
      } catch (error) {
        if (isKind(error, 'NotFound')) throw notFound('lease does not exist', { cause: error });
        throw error;
      }
    },
    async release(name) {
      try {
        await leases.deleteResource(resource(name), call.forward());
      } catch (error) {
        call.log.warn({ lease: id, type, name, error: messageOf(error) }, 'lease keeps a name that is gone');
      }
    },
  };
}
