import { randomBytes } from 'node:crypto';
import { GcLabel, type Labels } from '@longshore/oci';
import { type Lease as LeaseMessage, Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { dateOf } from '../call-time.ts';
import type { Services } from '../services.ts';

/** Keeps what it names from the garbage collector. Calls in a scope with this id add what they make. */
export interface Lease {
  id: string;
  labels: Labels;
  createdAt: Date | undefined;
}

/** What a lease can keep, e.g. `{ type: 'content', id: 'sha256:…' }`, `{ type: 'snapshots/overlayfs', id: key }`. */
export interface LeaseResource {
  type: string;
  id: string;
}

export interface NewLease {
  /** Default: a fresh one. */
  id?: string | undefined;
  labels?: Labels | undefined;
  /** Milliseconds until it is void; without it, it holds until it is deleted. */
  expiresInMs?: number | undefined;
}

/** The leases of one namespace. */
export class LeaseManager {
  readonly #leases: ServiceClient<typeof Leases>;

  constructor(services: Services) {
    this.#leases = services.service(Leases);
  }

  /** Throws AlreadyExists. */
  async create({ id, labels, expiresInMs }: NewLease = {}, options?: CallOptions): Promise<Lease> {
    const expire = expiresInMs === undefined ? {} : { [GcLabel.Expire]: timeAfter(expiresInMs) };
    const request = { id: id ?? freshId(), labels: { ...labels, ...expire } };
    const { lease } = await this.#leases.create(request, options);
    return leaseFromProto(lease!);
  }

  async list(filters: readonly string[] = [], options?: CallOptions): Promise<Lease[]> {
    const { leases } = await this.#leases.list({ filters: [...filters] }, options);
    return leases.map(leaseFromProto);
  }

  /** Throws NotFound. With `sync` what it alone has kept is gone when this resolves. */
  async delete(
    id: string,
    { sync = false, ...options }: CallOptions & { sync?: boolean } = {},
  ): Promise<void> {
    await this.#leases.delete({ id, sync }, options);
  }

  /** Throws NotFound for the lease; what is to be kept need not be there. */
  async addResource(id: string, resource: LeaseResource, options?: CallOptions): Promise<void> {
    await this.#leases.addResource({ id, resource }, options);
  }

  async removeResource(id: string, resource: LeaseResource, options?: CallOptions): Promise<void> {
    await this.#leases.deleteResource({ id, resource }, options);
  }

  async resources(id: string, options?: CallOptions): Promise<LeaseResource[]> {
    const { resources } = await this.#leases.listResources({ id }, options);
    return resources.map(({ type, id: resource }) => ({ type, id: resource }));
  }
}

function leaseFromProto({ id, labels, createdAt }: LeaseMessage): Lease {
  return { id, labels, createdAt: dateOf(createdAt) };
}

function timeAfter(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** As containerd's clients name them. */
function freshId(): string {
  return `${process.hrtime.bigint()}-${randomBytes(3).toString('base64url')}`;
}
