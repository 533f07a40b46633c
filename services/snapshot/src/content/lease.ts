import type { ServiceClient } from '@longshore/client';
import { isKind, messageOf, notFound } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { Lease } from '../domain/catalogue.ts';

/** The lease that a call's header names, for the snapshots of one snapshotter; undefined without the header. */
export function leaseOf(
  call: Call,
  leases: ServiceClient<typeof Leases>,
  snapshotter: string,
): Lease | undefined {
  const id = call.lease;
  if (id === undefined) return undefined;
  const resource = (name: string) => ({ id, resource: { id: name, type: `snapshots/${snapshotter}` } });
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
        // A resource that names no record is harmless; the change that has been made is not to be reported as failed.
        call.log.warn(
          { lease: id, snapshot: name, error: messageOf(error) },
          'lease keeps a name that is gone',
        );
      }
    },
  };
}
