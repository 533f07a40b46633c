import { parseReference } from '@longshore/oci';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { mapAtMost } from '../at-most.ts';
import type { Calls } from '../calls.ts';
import { collect, type Define, examples } from '../command.ts';
import { addOutputOptions, addWatchOption, type WatchOptions } from '../output/output-options.ts';
import { ageText, sizeText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import { imageFilters } from '../resources/image-filter.ts';
import { type ListedImage, partsOf, shortNameOf, shownPart } from '../resources/images.ts';
import { clientsOf } from '../resources/namespaces.ts';
import type { Session } from '../session.ts';
import { followList } from '../watch/follow-list.ts';

interface Options extends WatchOptions {
  allNamespaces?: boolean;
  filter?: string[];
}

interface Item extends ListedImage {
  namespace: string;
}

/** Manifests that are asked for at once. */
const WIDTH = 16;

export const define: Define = (command, session) => {
  addWatchOption(
    addOutputOptions(command.argument('[name]', 'only those of this repository, or of this name')),
  )
    .option('-A, --all-namespaces', 'of every namespace')
    .option('-f, --filter <filter>', "label=, reference=; or containerd's language", collect)
    .action(session.action((name: string | undefined, options: Options) => images(session, name, options)));
  examples(
    command,
    ['Those of this namespace', 'longshore images'],
    ['Of one repository, with digests and platforms', 'longshore images -o wide --no-trunc alpine'],
    ['At a gateway: of one node; without --node those of the fleet itself', 'longshore images --node n1'],
  );
};

async function images(session: Session, typed: string | undefined, options: Options): Promise<void> {
  // "image ls", as Docker's users have it in their fingers.
  const name = typed === 'ls' ? undefined : typed;
  const filters = imageFilters(options.filter ?? []);
  const client = await session.calls();
  const list = () => listImages(client, name, filters, options);
  if (!options.watch) return show(session, await list(), viewOf(options), options);
  await followList(session, {
    list: async () => ({ items: await list() }),
    keyOf: ({ namespace, record }) => `${namespace}/${record.name}`,
    viewOf: () => viewOf(options),
    topics: ['/images/'],
    allNamespaces: options.allNamespaces,
    output: options,
  });
}

async function listImages(
  client: Calls,
  name: string | undefined,
  filters: string[],
  options: Options,
): Promise<Item[]> {
  const items: Item[] = [];
  for (const each of await clientsOf(client, options.allNamespaces)) {
    const records = (await each.service(Images).list({ filters })).images;
    const wanted = records.filter((record) => name === undefined || isNamed(record.name, name));
    // Names alone need no look into manifests.
    const isDetailed = !options.quiet && options.output !== 'name';
    const listed = await mapAtMost(WIDTH, wanted, async (record) => {
      return { record, parts: isDetailed ? await partsOf(each, record) : [], namespace: each.namespace };
    });
    items.push(...listed);
  }
  return items;
}

function isNamed(name: string, wanted: string): boolean {
  return [name, shortNameOf(name)].some((each) => each === wanted || repositoryOf(each) === wanted);
}

/** All but tag and digest, of names that are references. */
function repositoryOf(name: string): string {
  const [rest = name] = name.split('@', 1);
  const colon = rest.lastIndexOf(':');
  return colon > rest.lastIndexOf('/') ? rest.slice(0, colon) : rest;
}

function tagOf(name: string): string {
  try {
    return parseReference(name).tag;
  } catch {
    return '';
  }
}

function viewOf({ trunc, allNamespaces }: Options): View<Item> {
  const digestOf = ({ record }: Item) => record.target?.digest ?? '';
  const shortDigest = (item: Item) =>
    digestOf(item)
      .replace(/^sha256:/, '')
      .slice(0, 12);
  return {
    columns: [
      ...(allNamespaces ? [{ header: 'NAMESPACE', value: (item: Item) => item.namespace }] : []),
      { header: 'REPOSITORY', value: ({ record }) => shortNameOf(repositoryOf(record.name)), shrinks: true },
      { header: 'TAG', value: ({ record }) => tagOf(record.name) || '<none>' },
      { header: 'DIGEST', value: trunc === false ? digestOf : shortDigest },
      { header: 'CREATED', value: ({ record }) => ageText(record.createdAt) },
      { header: 'PLATFORM', value: ({ parts }) => shownPart(parts)?.platform ?? '', isWide: true },
      { header: 'SIZE', value: ({ parts }) => sizeTextOf(shownPart(parts)?.sizeBytes) },
      { header: 'MEDIA TYPE', value: ({ record }) => record.target?.mediaType ?? '', isWide: true },
    ],
    name: ({ record }) => record.name,
    document: imageDocument,
  };
}

function sizeTextOf(bytes: number | undefined): string {
  return bytes === undefined ? '-' : sizeText(bytes);
}

function imageDocument({ record, parts, namespace }: Item) {
  const { name, labels, target, createdAt, updatedAt } = record;
  return {
    name,
    namespace,
    labels,
    target: {
      media_type: target?.mediaType ?? '',
      digest: target?.digest ?? '',
      size: Number(target?.size ?? 0n),
      annotations: target?.annotations ?? {},
    },
    platforms: parts.map(({ platform, manifest, sizeBytes }) => ({
      platform,
      manifest,
      size_bytes: sizeBytes,
    })),
    created_at: timeOf(createdAt),
    updated_at: timeOf(updatedAt),
  };
}
