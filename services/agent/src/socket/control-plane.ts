import type { Call } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';

/** Options for calling the control plane on behalf of a caller of this node: its call, in this node's scope. */
export type ToControlPlane = (call: Call) => CallOptions;

export function toControlPlane(nodeId: string): ToControlPlane {
  return (call) => {
    const { signal, deadline, headers } = call.forward();
    return { signal, deadline, headers: { ...headers, [Header.Node]: nodeId } };
  };
}

/** Headers of a call that the agent makes for itself. */
export function nodeHeaders(nodeId: string): Record<string, string> {
  return { [Header.Node]: nodeId };
}
