import { invalidArgument, notFound } from '@longshore/errors';
import { Content, type Info, type Status } from '@longshore/proto/containerd/services/content/v1/content';
import type { Calls } from '../calls.ts';
import { collect, type Define, examples } from '../command.ts';
import { labelsText } from '../labels.ts';
import { addOutputOptions, type OutputOptions } from '../output/output-options.ts';
import { ageText, sizeText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import type { Session } from '../session.ts';

interface Options extends OutputOptions {
  filter?: string[];
}

export const define: Define = (command, session) => {
  addOutputOptions(command.command('ls', { isDefault: true }).alias('list').description('List blobs.'))
    .option('-f, --filter <filter>', "in containerd's language: digest~=…, labels.…", collect)
    .action(session.action((options: Options) => ls(session, options)));
  command
    .command('get <digest>')
    .description('Write a blob to standard output.')
    .action(session.action((digest: string) => get(session, digest)));
  addOutputOptions(command.command('ingests').description('List blobs that are being written.')).action(
    session.action((options: OutputOptions) => ingests(session, options)),
  );
  command
    .command('rm <digest...>')
    .alias('remove')
    .description('Remove blobs from this namespace, also such as others refer to.')
    .action(session.action((digests: string[]) => rm(session, digests)));
  examples(
    command,
    ['A manifest, by the beginning of its digest', 'longshore content get sha256:3f1a2b | jq .layers'],
    ['What is being fetched now', 'longshore content ingests'],
  );
};

async function ls(session: Session, options: Options): Promise<void> {
  const client = await session.calls();
  const infos: Info[] = [];
  for await (const { info } of client.service(Content).list({ filters: options.filter ?? [] }))
    infos.push(...info);
  await show(session, infos, viewOf(options), options);
}

async function get(session: Session, typed: string): Promise<void> {
  const client = await session.calls();
  const digest = await fullDigest(client, typed);
  for await (const { data } of client.service(Content).read({ digest })) await session.write(data);
}

async function ingests(session: Session, options: OutputOptions): Promise<void> {
  const client = await session.calls();
  await show(session, (await client.service(Content).listStatuses({})).statuses, INGESTS, options);
}

async function rm(session: Session, digests: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(digests, async (typed) => {
    const digest = await fullDigest(client, typed);
    await client.service(Content).delete({ digest });
    return digest;
  });
}

/** A digest, or its beginning, if there is but one. */
async function fullDigest(client: Calls, typed: string): Promise<string> {
  if (/^[a-z0-9]+:[0-9a-f]{64,}$/.test(typed)) return typed;
  const start = /^[0-9a-f]+$/.test(typed) ? `sha256:${typed}` : typed;
  if (!/^[a-z0-9]+:[0-9a-f]*$/.test(start)) throw invalidArgument(`digest "${typed}": no beginning of one`);
  const found: string[] = [];
  for await (const { info } of client.service(Content).list({ filters: [`digest~="^${start}"`] })) {
    found.push(...info.map(({ digest }) => digest));
  }
  if (found.length === 1) return found[0]!;
  if (found.length === 0) throw notFound(`content ${typed}`);
  throw invalidArgument(
    `digest "${typed}": the beginning of ${found.length}, e.g. ${found.slice(0, 2).join(', ')}`,
  );
}

function viewOf({ trunc }: Options): View<Info> {
  return {
    columns: [
      {
        header: 'DIGEST',
        value: ({ digest }) => (trunc === false ? digest : digest.slice(0, digest.indexOf(':') + 13)),
      },
      { header: 'SIZE', value: ({ size }) => sizeText(size) },
      { header: 'CREATED', value: ({ createdAt }) => ageText(createdAt) },
      { header: 'LABELS', value: ({ labels }) => labelsText(labels), shrinks: true },
    ],
    name: ({ digest }) => digest,
    document: ({ digest, size, labels, createdAt, updatedAt }) => ({
      digest,
      size_bytes: Number(size),
      labels,
      created_at: timeOf(createdAt),
      updated_at: timeOf(updatedAt),
    }),
  };
}

const INGESTS: View<Status> = {
  columns: [
    { header: 'REF', value: ({ ref }) => ref, shrinks: true },
    { header: 'OFFSET', value: ({ offset }) => sizeText(offset) },
    { header: 'TOTAL', value: ({ total }) => (total > 0n ? sizeText(total) : '-') },
    { header: 'STARTED', value: ({ startedAt }) => ageText(startedAt) },
    { header: 'UPDATED', value: ({ updatedAt }) => ageText(updatedAt) },
  ],
  name: ({ ref }) => ref,
  document: ({ ref, offset, total, expected, startedAt, updatedAt }) => ({
    ref,
    offset_bytes: Number(offset),
    total_bytes: total > 0n ? Number(total) : null,
    expected: expected || null,
    started_at: timeOf(startedAt),
    updated_at: timeOf(updatedAt),
  }),
};
