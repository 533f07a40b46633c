import { setTimeout as delay } from 'node:timers/promises';
import { LongshoreError } from '@longshore/errors';
import { type Node, NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { Calls } from '../../calls.ts';
import { durationOf } from '../../durations.ts';
import { parseLabelChanges } from '../../labels.ts';
import { millisecondsOf } from '../../output/quantity.ts';
import type { Session } from '../../session.ts';

export interface DrainOptions {
  grace: number;
  timeout: number;
  wait: boolean;
}

/** A node says with its heartbeats, ten seconds apart, what still runs. */
const ASK_EVERY_MS = 1_000;

export async function cordon(session: Session, ids: string[], cordoned: boolean): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(NodeAdminService).setCordon({ id, cordoned }));
}

export async function drain(session: Session, ids: string[], options: DrainOptions): Promise<void> {
  const client = await session.calls();
  const grace = durationOf(options.grace);
  await session.each(ids, async (id) => {
    const { node: before } = await client.service(NodeService).get({ id });
    await client.service(NodeAdminService).drain({ id, grace });
    if (options.wait && before) await drained(session, client, before, options.timeout);
  });
}

export async function label(session: Session, id: string, texts: string[]): Promise<void> {
  const changes = parseLabelChanges(texts);
  const client = await session.calls();
  const { node } = await client.service(NodeService).get({ id });
  // What its agent reports stays the agent's.
  const labels = Object.entries({ ...node?.operatorLabels, ...changes }).filter(
    ([, value]) => value !== null,
  );
  await client
    .service(NodeAdminService)
    .setLabels({ id, labels: Object.fromEntries(labels) as Record<string, string> });
  session.line(id);
}

export async function remove(
  session: Session,
  ids: string[],
  { force = false }: { force?: boolean },
): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(NodeAdminService).remove({ id, force }));
}

/** What a node has said before the drain is no answer to it. */
async function drained(session: Session, client: Calls, before: Node, timeoutMs: number): Promise<void> {
  const { id } = before;
  const deadline = performance.now() + timeoutMs;
  let told = '';
  for (;;) {
    const { node } = await client.service(NodeService).get({ id });
    if (!node) return;
    const isNews = spokeAt(node) > spokeAt(before);
    if (isNews && node.runningTasks === 0) return;
    const status = isNews ? `${node.runningTasks} left` : 'it has not answered yet';
    if (status !== told) session.note(`node "${id}": ${status}`);
    told = status;
    if (performance.now() > deadline) {
      throw new LongshoreError('DeadlineExceeded', `node "${id}": ${status}; the drain goes on`);
    }
    await delay(ASK_EVERY_MS);
  }
}

function spokeAt({ lastSeenAt }: Node): number {
  return lastSeenAt ? millisecondsOf(lastSeenAt) : 0;
}
