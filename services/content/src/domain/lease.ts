import { randomBytes } from 'node:crypto';
import { invalidArgument, unimplemented } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import { isDigest, type Labels } from '@longshore/oci';

/** Keeps resources from the garbage collector, until it is deleted or expires. */
export interface Lease {
  readonly uid: string;
  readonly scope: Scope;
  readonly id: string;
  readonly revision: bigint;
  readonly labels: Labels;
  readonly createdAt: Date;
}

/** What a lease keeps, named as in the collection contract. */
export interface LeaseResource {
  readonly kind: 'content' | 'image' | 'ingest' | 'snapshot';
  readonly key: string;
}

/** A resource as the API names it, e.g. type `snapshots/overlayfs`. */
export interface ApiResource {
  readonly type: string;
  readonly id: string;
}

const KINDS: Readonly<Record<string, LeaseResource['kind']>> = {
  content: 'content',
  images: 'image',
  ingests: 'ingest',
};
const SNAPSHOTS = 'snapshots/';

/** Throws InvalidArgument for a malformed one, Unimplemented for an unknown type. Source: containerd core/metadata/leases.go. */
export function parseResource({ type, id }: ApiResource): LeaseResource {
  if (id === '') throw invalidArgument(`resource of type ${type}: id must not be empty`);
  const [first = '', ...rest] = type.split('/');
  if (first === 'snapshots') {
    if (rest.length !== 1 || rest[0] === '') throw invalidArgument(`invalid snapshot resource type ${type}`);
    return { kind: 'snapshot', key: `${rest[0]}/${id}` };
  }
  const kind = Object.hasOwn(KINDS, first) ? KINDS[first] : undefined;
  if (!kind) throw unimplemented(`resource type ${type} not supported yet`);
  if (rest.length > 0) throw invalidArgument(`invalid resource type ${type}`);
  if (kind === 'content' && !isDigest(id)) throw invalidArgument(`invalid content resource id ${id}`);
  return { kind, key: id };
}

export function formatResource({ kind, key }: LeaseResource): ApiResource {
  if (kind === 'snapshot') {
    const slash = key.indexOf('/');
    return { type: SNAPSHOTS + key.slice(0, slash), id: key.slice(slash + 1) };
  }
  return { type: kind === 'content' ? kind : `${kind}s`, id: key };
}

/** An id for a lease that was asked for without one, in the form that Go clients make. */
export function randomLeaseId(now = process.hrtime.bigint()): string {
  return `${now % 1_000_000_000n}-${randomBytes(3).toString('base64url')}`;
}
