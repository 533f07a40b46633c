import { notFound } from '@longshore/errors';
import {
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  type Index,
  type Manifest,
  platformsEqual,
} from '@longshore/oci';
import { type Image, Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { Calls } from '../calls.ts';
import { nearest } from '../nearest.ts';
import { readJson } from './read-json.ts';
import { ifThere } from './task-states.ts';

export interface ImagePart {
  platform: string;
  manifest: string;
  /** Of the manifest's config and layers, as they are stored and sent. */
  sizeBytes: number;
}

export interface ListedImage {
  record: Image;
  /** Those that are here; of an index there may be others elsewhere. */
  parts: ImagePart[];
}

type Document = Partial<Manifest & Index>;

/** What a manifest or index is made of, as far as it is here; empty for what is no image. */
export async function partsOf(client: Calls, { target }: Image): Promise<ImagePart[]> {
  if (!target) return [];
  try {
    const document = await readJson<Document>(client, target.digest);
    if (!document.manifests) return [await partOf(client, target.digest, document)];
    const parts = document.manifests.filter(isImage).map((each) => ifThere(indexedPart(client, each)));
    return (await Promise.all(parts)).filter((part) => part !== undefined);
  } catch {
    return [];
  }
}

/** The part that this machine would run, else the first. */
export function shownPart(parts: readonly ImagePart[]): ImagePart | undefined {
  const own = formatPlatform(hostPlatform());
  return parts.find(({ platform }) => platform === own) ?? parts[0];
}

/** The manifest and config of an image, for this machine's platform if it has that. Throws NotFound when they are not here. */
export async function readImage(
  client: Calls,
  { target, name }: Image,
): Promise<{ manifest: Manifest; config: ImageConfig }> {
  if (!target) throw notFound(`target of image "${name}"`);
  let document = await readJson<Document>(client, target.digest);
  if (document.manifests) {
    const own = document.manifests.find(
      ({ platform }) => platform && platformsEqual(platform, hostPlatform()),
    );
    const chosen = own ?? document.manifests.find(isImage);
    if (!chosen) throw notFound(`manifest of image "${name}"`);
    document = await readJson<Document>(client, chosen.digest);
  }
  const manifest = document as Manifest;
  return { manifest, config: await readJson<ImageConfig>(client, manifest.config.digest) };
}

/**
 * The image that a person means: by its name, by a short name as Docker's, or by the beginning of its digest. Throws NotFound, with a
 * suggestion.
 */
export async function findImage(client: Calls, typed: string): Promise<Image> {
  const { expandShortName } = await import('@longshore/registry');
  const names = [...new Set([typed, expandShortName(typed)])];
  for (const name of names) {
    const found = await ifThere(client.service(Images).get({ name }));
    if (found?.image) return found.image;
  }
  const { images } = await client.service(Images).list({});
  const hex = typed.replace(/^sha256:/, '');
  const byDigest = images.filter(({ target }) => target?.digest.startsWith(`sha256:${hex}`));
  if (/^[0-9a-f]{6,64}$/.test(hex) && byDigest[0]) return byDigest[0];
  const shortNames = new Map(
    images.flatMap(({ name }) => [
      [name, name],
      [shortNameOf(name), shortNameOf(name)],
    ]),
  );
  const near = nearest(typed, shortNames.keys());
  throw Object.assign(notFound(`image "${typed}" in namespace "${client.namespace}"`), {
    hint: near
      ? `Did you mean "${near}"?`
      : '"longshore images" lists those that are there; "longshore pull" fetches one.',
  });
}

/** As Docker shows names: without what it would fill in, but for the tag. */
export function shortNameOf(name: string): string {
  return name.replace(/^docker\.io\/library\//, '').replace(/^docker\.io\//, '');
}

async function indexedPart(client: Calls, { digest, platform }: Descriptor): Promise<ImagePart> {
  const part = await partOf(client, digest, await readJson<Document>(client, digest), platform);
  return part;
}

async function partOf(
  client: Calls,
  digest: string,
  { config, layers = [] }: Document,
  known?: Descriptor['platform'],
): Promise<ImagePart> {
  const platform = known ?? (config && (await ifThere(readJson<ImageConfig>(client, config.digest))));
  const sizeBytes = [config, ...layers].reduce((sum, each) => sum + (each?.size ?? 0), 0);
  return { platform: platform ? formatPlatform(platform) : '', manifest: digest, sizeBytes };
}

/** Attestations and the like stand in an index beside the images that they are about. */
function isImage({ platform, annotations }: Descriptor): boolean {
  return platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined;
}
