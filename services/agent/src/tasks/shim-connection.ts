import type { Task } from '@longshore/proto/containerd/task/v3/shim';
import type { TtrpcClient } from '@longshore/ttrpc';

type TaskClient = TtrpcClient<typeof Task>;
export type ShimMethod = keyof TaskClient;
export type ShimRequest<M extends ShimMethod> = Parameters<TaskClient[M]>[0];
export type ShimResponse<M extends ShimMethod> = Awaited<ReturnType<TaskClient[M]>>;

/** Who calls: the namespace and the trace go with every call. */
export interface ShimCall {
  namespace: string;
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
  /** `traceparent` and the like. */
  traceHeaders?: Readonly<Record<string, string>> | undefined;
}

/** A connection to one shim's task service, over either protocol. States: open → closed, never open again. */
export interface ShimConnection {
  /** Resolves when the shim is gone, or after `close`. */
  readonly closed: Promise<void>;
  readonly isClosed: boolean;
  /** Fails with the shim's own status and words; see {@link isLost}. */
  call<M extends ShimMethod>(method: M, request: ShimRequest<M>, call: ShimCall): Promise<ShimResponse<M>>;
  /** True for an error that says that the connection ended during the call. */
  isLost(error: unknown): boolean;
  /** From now on calls go to version 2 of the service. False when it is that already, or cannot be. */
  downgrade(): boolean;
  close(): Promise<void>;
}
