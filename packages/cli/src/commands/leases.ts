import { type Lease, Leases, type Resource } from '@longshore/proto/containerd/services/leases/v1/leases';
import { collect, type Define, examples } from '../command.ts';
import { parseDuration } from '../durations.ts';
import { labelsText, parseLabels } from '../labels.ts';
import {
  addOutputOptions,
  addWatchOption,
  type OutputOptions,
  type WatchOptions,
} from '../output/output-options.ts';
import { ageText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import type { Session } from '../session.ts';
import { followList } from '../watch/follow-list.ts';

interface CreateOptions {
  expire?: number;
  label?: string[];
}

/** A lease with it counts until then. Source: containerd core/leases/lease.go. */
const EXPIRE = 'containerd.io/gc.expire';

export const define: Define = (command, session) => {
  const list = command.command('ls', { isDefault: true }).alias('list').description('List leases.');
  addWatchOption(addOutputOptions(list)).action(
    session.action((options: WatchOptions) => ls(session, options)),
  );
  addOutputOptions(command.command('resources <lease>').description('List what a lease keeps.')).action(
    session.action((id: string, options: OutputOptions) => resources(session, id, options)),
  );
  command
    .command('create [id]')
    .description('Make a lease; without an id the server chooses one.')
    .option('--expire <duration>', 'for how long it counts (default: until it is removed)', parseDuration)
    .option('-l, --label <key=value>', 'may be repeated', collect)
    .action(session.action((id: string | undefined, options: CreateOptions) => create(session, id, options)));
  command
    .command('rm <lease...>')
    .alias('remove')
    .description('Let go of what leases keep, and wait until what nothing else keeps is gone.')
    .option('--async', 'do not wait')
    .action(session.action((ids: string[], options: { async?: boolean }) => rm(session, ids, options)));
  examples(
    command,
    ['Who keeps what from collection', 'longshore leases; longshore leases resources ID'],
    ['A lease of a day', 'longshore leases create --expire 24h backup'],
  );
};

async function ls(session: Session, options: WatchOptions): Promise<void> {
  const client = await session.calls();
  const list = async () => (await client.service(Leases).list({})).leases;
  if (!options.watch) return show(session, await list(), VIEW, options);
  await followList(session, {
    list: async () => ({ items: await list() }),
    keyOf: ({ id }) => id,
    viewOf: () => VIEW,
    topics: [],
    output: options,
  });
}

async function resources(session: Session, id: string, options: OutputOptions): Promise<void> {
  const client = await session.calls();
  await show(session, (await client.service(Leases).listResources({ id })).resources, RESOURCES, options);
}

async function create(session: Session, id = '', { expire, label = [] }: CreateOptions): Promise<void> {
  const labels = parseLabels(label);
  if (expire !== undefined) labels[EXPIRE] = new Date(Date.now() + expire).toISOString();
  const client = await session.calls();
  const { lease } = await client.service(Leases).create({ id, labels });
  session.line(lease?.id ?? id);
}

async function rm(session: Session, ids: string[], options: { async?: boolean }): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(Leases).delete({ id, sync: !options.async }));
}

const VIEW: View<Lease> = {
  columns: [
    { header: 'ID', value: ({ id }) => id },
    { header: 'CREATED', value: ({ createdAt }) => ageText(createdAt) },
    { header: 'EXPIRES', value: ({ labels }) => labels[EXPIRE] ?? 'never' },
    { header: 'LABELS', value: ({ labels }) => labelsText(labels), isWide: true },
  ],
  name: ({ id }) => id,
  document: ({ id, createdAt, labels }) => ({
    id,
    labels,
    expires_at: labels[EXPIRE] ?? null,
    created_at: timeOf(createdAt),
  }),
};

const RESOURCES: View<Resource> = {
  columns: [
    { header: 'TYPE', value: ({ type }) => type },
    { header: 'ID', value: ({ id }) => id },
  ],
  name: ({ id }) => id,
  document: ({ type, id }) => ({ type, id }),
};
