import { type JoinToken, NodeAdminService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { durationOf } from '../../durations.ts';
import { labelsText, parseLabels } from '../../labels.ts';
import { showDocument } from '../../output/document.ts';
import type { Format, OutputOptions } from '../../output/output-options.ts';
import { timeOf } from '../../output/quantity.ts';
import { show, type View } from '../../output/show.ts';
import type { Session } from '../../session.ts';

export interface JoinTokenOptions {
  ttl: number;
  for?: string;
  label?: string[];
  output?: Format;
}

export async function listJoinTokens(session: Session, options: OutputOptions): Promise<void> {
  const client = await session.calls();
  const { tokens } = await client.service(NodeAdminService).listJoinTokens({});
  await show(session, tokens, VIEW, options);
}

export async function createJoinToken(session: Session, options: JoinTokenOptions): Promise<void> {
  const labels = parseLabels(options.label ?? []);
  const client = await session.calls();
  const request = { ttl: durationOf(options.ttl), nodeId: options.for ?? '', labels };
  const { id, token, server, expiresAt } = await client.service(NodeAdminService).createJoinToken(request);
  if (options.output) {
    return showDocument(session, { id, token, server, expires_at: timeOf(expiresAt) }, options.output);
  }
  session.note(`Good for one machine until ${timeOf(expiresAt)}. On it, as root:`);
  session.line(`printf %s ${token} | node services/agent/src/main.ts join --server ${server}`);
}

export async function removeJoinTokens(session: Session, ids: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(NodeAdminService).deleteJoinToken({ id }));
}

const VIEW: View<JoinToken> = {
  columns: [
    { header: 'ID', value: ({ id }) => id },
    { header: 'FOR', value: ({ nodeId }) => nodeId || 'any' },
    { header: 'EXPIRES', value: ({ expiresAt }) => timeOf(expiresAt) ?? '' },
    { header: 'USED BY', value: ({ usedBy }) => usedBy },
    { header: 'LABELS', value: ({ labels }) => labelsText(labels), shrinks: true },
  ],
  name: ({ id }) => id,
  document: ({ id, nodeId, labels, createdAt, expiresAt, usedBy }) => ({
    id,
    node_id: nodeId || null,
    labels,
    used_by: usedBy || null,
    created_at: timeOf(createdAt),
    expires_at: timeOf(expiresAt),
  }),
};
