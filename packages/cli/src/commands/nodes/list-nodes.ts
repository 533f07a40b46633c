import { NodeService, type NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { OutputOptions } from '../../output/output-options.ts';
import { show } from '../../output/show.ts';
import { NODE_VIEW, STATE_NAMES, type StateName } from '../../resources/node-view.ts';
import type { Session } from '../../session.ts';

export interface ListOptions extends OutputOptions {
  selector?: string;
  state?: StateName[];
}

export async function listNodes(session: Session, options: ListOptions): Promise<void> {
  const { selector = '', state = [] } = options;
  const client = await session.calls();
  const states = state.map((name) => STATE_NAMES.indexOf(name) as NodeState);
  const { nodes } = await client.service(NodeService).list({ selector, states });
  await show(
    session,
    nodes.sort((a, b) => (a.id < b.id ? -1 : 1)),
    NODE_VIEW,
    options,
  );
}
