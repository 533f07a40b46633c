import type { ServiceClient } from '@longshore/client';
import { isKind, messageOf, notFound } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';

type LeasesClient = ServiceClient<typeof Leases>;

/**
 * Adds a name to the caller's lease, if it has one. Call it before the image is written: a name in a lease without
 * an image is harmless. Throws NotFound for a lease that does not exist.
 */
export async function keepByLease(leases: LeasesClient, call: Call, name: string): Promise<void> {
  if (call.lease === undefined) return;
  try {
    await leases.addResource(requestOf(call.lease, name), call.forward());
  } catch (error) {
    if (isKind(error, 'NotFound')) throw notFound('lease does not exist', { cause: error });
    throw error;
  }
}

/** Takes a name that is gone out of the caller's lease, if it has one. */
export async function releaseFromLease(leases: LeasesClient, call: Call, name: string): Promise<void> {
  if (call.lease === undefined) return;
  try {
    await leases.deleteResource(requestOf(call.lease, name), call.forward());
  } catch (error) {
    // The image is deleted; that its lease still holds the name does no harm and is no failure of the call.
    call.log.warn(
      { lease: call.lease, image: name, error: messageOf(error) },
      'lease keeps a name that is gone',
    );
  }
}

function requestOf(lease: string, name: string) {
  return { id: lease, resource: { id: name, type: 'images' } };
}
