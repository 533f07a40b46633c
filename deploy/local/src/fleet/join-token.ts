import { NodeAdminService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Channel, createClient } from '@longshore/rpc';
import type { Authority } from './authority.ts';
import type { Outside } from './outside.ts';

const TIMEOUT_MS = 20_000;

/** A token for one node, asked of `runtime` by whoever may: services may everything. */
export async function createJoinToken(
  outside: Outside,
  authority: Authority,
  nodeId: string,
): Promise<{ token: string; server: string }> {
  const channel = new Channel(outside.address('runtime-1'), authority.service('gateway'), {
    expect: 'service/runtime',
  });
  try {
    const nodes = createClient(NodeAdminService, channel);
    return await nodes.createJoinToken({ nodeId }, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  } finally {
    channel.close();
  }
}
