import { setTimeout as delay } from 'node:timers/promises';
import { LongshoreError } from '@longshore/errors';
import { NodeAdminService, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { Calls } from '../../calls.ts';
import { durationOf } from '../../durations.ts';
import { parseLabels } from '../../labels.ts';
import type { Session } from '../../session.ts';

export interface DrainOptions {
  grace: number;
  timeout: number;
  wait: boolean;
}

/** A node says with its heartbeats, ten seconds apart, what still runs. */
const ASK_EVERY_MS = 2_000;

export async function cordon(session: Session, ids: string[], cordoned: boolean): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(NodeAdminService).setCordon({ id, cordoned }));
}

export async function drain(session: Session, ids: string[], options: DrainOptions): Promise<void> {
  const client = await session.calls();
  const grace = durationOf(options.grace);
  await session.each(ids, async (id) => {
    await client.service(NodeAdminService).drain({ id, grace });
    if (options.wait) await drained(session, client, id, options.timeout);
  });
}

export async function label(session: Session, id: string, texts: string[]): Promise<void> {
  const changes = parseLabels(texts);
  const client = await session.calls();
  const { node } = await client.service(NodeService).get({ id });
  // What its agent reports stays the agent's.
  const labels = { ...node?.operatorLabels, ...changes };
  const kept = Object.fromEntries(Object.entries(labels).filter(([key]) => changes[key] !== ''));
  await client.service(NodeAdminService).setLabels({ id, labels: kept });
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

async function drained(session: Session, client: Calls, id: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let told = -1;
  for (;;) {
    const { node } = await client.service(NodeService).get({ id });
    const left = node?.runningTasks ?? 0;
    if (left === 0) return;
    if (left !== told) session.note(`node "${id}": ${left} left`);
    told = left;
    if (performance.now() > deadline) {
      throw new LongshoreError(
        'DeadlineExceeded',
        `node "${id}": ${left} tasks run still; the drain goes on`,
      );
    }
    await delay(ASK_EVERY_MS);
  }
}
