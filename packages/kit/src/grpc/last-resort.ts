import { GrpcCode } from '@longshore/errors';

/**
 * How a call can be ended when its server does not answer it; undefined when it cannot. Asked only then. What it answers
 * must neither throw nor leave the call open, and neither may be rejected.
 */
export type LastResort = () => Promise<(() => void) | undefined>;

/** A server that takes longer to begin its answer waits in vain for what it needs itself. */
export const LAST_RESORT_AFTER_MS = 5_000;

const CANNOT_SAY: ReadonlySet<string> = new Set(
  [GrpcCode.Unavailable, GrpcCode.DeadlineExceeded].map(String),
);

/** The server is there, but has not what it needs to answer, e.g. its database. */
export function cannotSay(trailers: { readonly [name: string]: unknown }): boolean {
  return CANNOT_SAY.has(String(trailers['grpc-status']));
}
