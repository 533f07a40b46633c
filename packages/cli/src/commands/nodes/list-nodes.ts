import { NodeService, type NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { WatchOptions } from '../../output/output-options.ts';
import { show } from '../../output/show.ts';
import { NODE_VIEW, nodeDocument, STATE_NAMES, type StateName } from '../../resources/node-view.ts';
import type { Session } from '../../session.ts';
import { followList } from '../../watch/follow-list.ts';

export interface ListOptions extends WatchOptions {
  selector?: string;
  state?: StateName[];
}

export async function listNodes(session: Session, options: ListOptions): Promise<void> {
  const { selector = '', state = [] } = options;
  const client = await session.calls();
  const states = state.map((name) => STATE_NAMES.indexOf(name) as NodeState);
  const list = async () => {
    const { nodes } = await client.service(NodeService).list({ selector, states });
    return nodes.sort((a, b) => (a.id < b.id ? -1 : 1));
  };
  if (!options.watch) return show(session, await list(), NODE_VIEW, options);
  await followList(session, {
    list: async () => ({ items: await list() }),
    keyOf: ({ id }) => id,
    // Its heartbeats are no news.
    textOf: (node) => JSON.stringify({ ...nodeDocument(node), last_seen_at: null }),
    viewOf: () => NODE_VIEW,
    topics: [],
    output: options,
  });
}
