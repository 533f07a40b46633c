import { randomBytes } from 'node:crypto';
import { GcLabel } from '@longshore/oci';
import type { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Header } from '@longshore/proto/headers';
import type { CallOptions, ServiceClient } from '@longshore/rpc';

/** As containerd's clients have it: long enough for any pull, and nothing is kept for ever when we die. */
const LIFETIME_MS = 24 * 60 * 60 * 1000;
const DELETE_TIMEOUT_MS = 10_000;

/**
 * Does work whose results must not be collected before something refers to them: under the caller's lease, or else one
 * made for the work alone. Source: containerd client/lease.go.
 */
export async function withLease<T>(
  leases: ServiceClient<typeof Leases>,
  options: CallOptions,
  work: (options: CallOptions) => Promise<T>,
): Promise<T> {
  if (options.headers?.[Header.Lease]) return work(options);
  const id = `${process.hrtime.bigint()}-${randomBytes(3).toString('base64url')}`;
  const expire = new Date(Date.now() + LIFETIME_MS).toISOString();
  await leases.create({ id, labels: { [GcLabel.Expire]: expire } }, options);
  try {
    return await work({ ...options, headers: { ...options.headers, [Header.Lease]: id } });
  } finally {
    // Also when the caller has gone; a lease that stays runs out.
    const deadline = new Date(Date.now() + DELETE_TIMEOUT_MS);
    const { headers, onTrailers } = options;
    await leases.delete({ id }, { headers, onTrailers, deadline }).catch(() => undefined);
  }
}
