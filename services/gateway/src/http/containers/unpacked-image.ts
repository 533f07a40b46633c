import { failedPrecondition, notFound } from '@longshore/errors';
import {
  chainIds,
  type Descriptor,
  type Digest,
  formatPlatform,
  type ImageConfig,
  parseDigest,
} from '@longshore/oci';
import { diffIdsOf, parseObject, readTree } from '@longshore/transfer';
import type { ScopedClients } from '../backends.ts';
import type { RequestCall } from '../request-call.ts';
import type { WantedPlatform } from './image-platform.ts';

/** Manifests and configs are small; a larger one is none. */
const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024;

export interface UnpackedImage {
  readonly config: ImageConfig;
  /** Name of the committed snapshot that its containers begin with; empty for an image without layers. */
  readonly chainId: Digest | '';
}

/** Reads what a container takes from an image. Throws NotFound for an image, or a platform of it, that is not there. */
export async function readImage(
  { images, content }: Pick<ScopedClients, 'images' | 'content'>,
  call: RequestCall,
  name: string,
  { platform, isWanted }: WantedPlatform,
): Promise<UnpackedImage> {
  const { image } = await images.get({ name }, call);
  if (!image?.target) throw notFound(`image ${JSON.stringify(name)}`);
  const { mediaType, digest, size } = image.target;
  const read = ({ digest }: Pick<Descriptor, 'digest'>) => readDocument(content, call, digest);
  const target = { mediaType, digest: parseDigest(digest), size: Number(size) };
  const tree = await readTree(name, target, await read(target), [platform], read);
  const [chosen] = tree.images;
  if (!chosen) throw notFound(`image ${JSON.stringify(name)} for ${formatPlatform(platform)}`);
  const config = chosen.manifest.config.digest;
  const bytes = await read({ digest: config });
  const parsed = parseObject(bytes, `image config ${config}`) as unknown as ImageConfig;
  // A manifest by itself is of any platform, as far as its image says.
  if (isWanted && parsed.architecture && parsed.architecture !== platform.architecture) {
    throw notFound(`image ${JSON.stringify(name)} for ${formatPlatform(platform)}`);
  }
  const chain = chainIds(diffIdsOf(config, bytes));
  return {
    config: parsed,
    chainId: chain.at(-1) ?? '',
  };
}

async function readDocument(
  content: ScopedClients['content'],
  call: RequestCall,
  digest: Digest,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const { data } of content.read({ digest }, call)) {
    sizeBytes += data.byteLength;
    if (sizeBytes > MAX_DOCUMENT_BYTES) {
      throw failedPrecondition(`content ${digest}: it is larger than a manifest or a config can be`);
    }
    chunks.push(data);
  }
  return Buffer.concat(chunks);
}
