import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { type NodeStateName, nodeStateFromName, nodeToJson } from '@longshore/proto/node-json';
import type { WatchOptions } from '../../output/output-options.ts';
import { show } from '../../output/show.ts';
import { NODE_VIEW } from '../../resources/node-view.ts';
import type { Session } from '../../session.ts';
import { followList } from '../../watch/follow-list.ts';

export interface ListOptions extends WatchOptions {
  selector?: string;
  state?: NodeStateName[];
}

export async function listNodes(session: Session, options: ListOptions): Promise<void> {
  const { selector = '', state = [] } = options;
  const client = await session.calls();
  const states = state.map(nodeStateFromName);
  const list = async () => {
    const { nodes } = await client.service(NodeService).list({ selector, states });
    return nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  };
  if (!options.watch) return show(session, await list(), NODE_VIEW, options);
  await followList(session, {
    list: async () => ({ items: await list() }),
    keyOf: ({ id }) => id,
    // Its heartbeats are no news.
    textOf: (node) => JSON.stringify({ ...nodeToJson(node), last_seen_at: null }),
    viewOf: () => NODE_VIEW,
    topics: [],
    output: options,
  });
}
