import {
  type ChainLink,
  CollectorService,
  type ExplainResponse,
} from '@longshore/proto/longshore/content/v1/collector';
import { Argument, Option } from 'commander';
import type { Calls } from '../calls.ts';
import { type Define, examples } from '../command.ts';
import { showDocument } from '../output/document.ts';
import type { Format } from '../output/output-options.ts';
import { ageText, timeOf } from '../output/quantity.ts';
import { findContainer } from '../resources/find-container.ts';
import { findImage } from '../resources/images.ts';
import type { Session } from '../session.ts';

/** Of what the collector knows. */
const KINDS = ['container', 'content', 'image', 'ingest', 'lease', 'sandbox', 'snapshot', 'task'];

export const define: Define = (command, session) => {
  command
    .addArgument(new Argument('<kind>', 'of what is asked about').choices(KINDS))
    .argument(
      '<key>',
      'name, id or digest; of a snapshot <snapshotter>/<key>, or the key of one of overlayfs',
    )
    .addOption(new Option('-o, --output <format>', 'json or yaml (default: text)').choices(['json', 'yaml']))
    .action(
      session.action((kind: string, key: string, options: { output?: Format }) =>
        why(session, kind, key, options),
      ),
    );
  examples(
    command,
    ['What keeps a blob', 'longshore why content sha256:3f1a…'],
    ['Whether the next collection takes a snapshot', 'longshore why snapshot overlayfs/web'],
  );
};

async function why(
  session: Session,
  kind: string,
  typed: string,
  { output }: { output?: Format },
): Promise<void> {
  const client = await session.calls();
  const key = await keyOf(client, kind, typed);
  const answer = await client.service(CollectorService).explain({ kind, key });
  if (output) return showDocument(session, documentOf(kind, key, answer), output);
  for (const line of linesOf(kind, key, answer)) session.line(line);
}

async function keyOf(client: Calls, kind: string, typed: string): Promise<string> {
  if (kind === 'image') return (await findImage(client, typed)).name;
  if (kind === 'container' || kind === 'task') return (await findContainer(client, typed)).record.id;
  if (kind === 'snapshot' && !typed.includes('/')) return `overlayfs/${typed}`;
  return typed;
}

function* linesOf(kind: string, key: string, answer: ExplainResponse): Iterable<string> {
  const { chain, rootReason, unreachedSince, holders, tombstones } = answer;
  if (chain.length === 0) yield `${kind} ${key}: nothing keeps it`;
  for (const [depth, link] of chain.entries()) yield chainLine(depth, link, rootReason);
  if (unreachedSince) yield `the next collection removes it; known ${ageText(unreachedSince)}`;
  for (const { namespace, node } of holders)
    yield `its bytes are held in namespace "${namespace}", node ${node}`;
  for (const { generation, goesAfter } of tombstones)
    yield `bytes ${generation} go after ${timeOf(goesAfter)}`;
}

function chainLine(depth: number, { kind, key, label }: ChainLink, rootReason: string): string {
  if (depth === 0) return `${kind} ${key}  (stays: ${rootReason})`;
  return `${'  '.repeat(depth)}└ ${kind} ${key}${label ? `  (${label})` : ''}`;
}

function documentOf(kind: string, key: string, answer: ExplainResponse) {
  return {
    kind,
    key,
    chain: answer.chain.map((link) => ({ kind: link.kind, key: link.key, label: link.label || null })),
    root_reason: answer.rootReason || null,
    unreached_since: timeOf(answer.unreachedSince),
    holders: answer.holders.map(({ namespace, node }) => ({ namespace, node })),
    tombstones: answer.tombstones.map(({ generation, buriedAt, goesAfter }) => ({
      generation,
      buried_at: timeOf(buriedAt),
      goes_after: timeOf(goesAfter),
    })),
  };
}
