import type { ErrorKind } from '@longshore/errors';

/** A call that changes something, before it is passed on. */
export interface AuditEntry {
  requestId: string;
  /** The caller's name, e.g. `user/alice`. */
  caller: string;
  /** Where its connection comes from; empty for the unix socket. */
  address: string;
  /** A gRPC method, e.g. `containerd.services.images.v1.Images/Create`, or a route, e.g. `DELETE /v1/containers/:id`. */
  action: string;
  /** Empty for what is no namespace's. */
  namespace: string;
  node: string;
  /** What it is about, by the name of the field: see `subjectOf`. */
  subject: Readonly<Record<string, string>>;
}

/** How a call ended; `unknown` when nobody can say whether it was done. */
export type AuditResult = 'ok' | 'unknown' | { error: ErrorKind };

/** A call that the edge turned away. */
export interface AuditRefusal extends Omit<AuditEntry, 'subject'> {
  /** Its kind and its words are kept. */
  error: unknown;
}

/** The record of a call that is under way. */
export interface OpenRecord {
  /** The first one counts. Never throws; what cannot be kept at once is kept later. */
  end(result: AuditResult): void;
}

/** Keeps who did what at the edge. */
export interface AuditLog {
  /**
   * Resolves once the intent is kept. Throws Unavailable when it cannot be: then the call must not be passed on. That it failed
   * is kept later, so it is no refusal.
   */
  begin(entry: AuditEntry): Promise<OpenRecord>;
  /** Never throws, and does not wait; repetitions are counted. */
  refused(refusal: AuditRefusal): void;
}
