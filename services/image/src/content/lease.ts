import type { ServiceClient } from '@longshore/client';
import { isKind, notFound } from '@longshore/errors';
import type { Call } from '@longshore/kit';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { expiryOf, type ImageSpec } from '../domain/image.ts';

/**
 * Adds an image that expires to the lease of its caller, before the record is written; others need no lease to stay.
 * Throws NotFound for an unknown lease. Source: containerd core/metadata/images.go, Create.
 */
export async function keepByLease(
  call: Call,
  leases: ServiceClient<typeof Leases>,
  { name, labels }: ImageSpec,
): Promise<void> {
  if (call.lease === undefined || expiryOf(labels) === undefined) return;
  try {
    await leases.addResource({ id: call.lease, resource: { id: name, type: 'images' } }, call.forward());
  } catch (error) {
    if (isKind(error, 'NotFound')) throw notFound('lease does not exist', { cause: error });
    throw error;
  }
}
