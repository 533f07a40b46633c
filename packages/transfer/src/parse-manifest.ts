import { failedPrecondition, invalidArgument } from '@longshore/errors';
import { type Descriptor, type Index, isDigest, type Manifest, MediaType } from '@longshore/oci';

/** More than overlayfs can stack, and fewer than would take our memory. */
const MAX_CHILDREN = 1_000;

const INDEX_TYPES: readonly string[] = [MediaType.OciIndex, MediaType.DockerIndex];
const MANIFEST_TYPES: readonly string[] = [MediaType.OciManifest, MediaType.DockerManifest];

export type ImageDocument = { kind: 'index'; index: Index } | { kind: 'manifest'; manifest: Manifest };

/** Reads a manifest or index. Throws InvalidArgument for one that is malformed, FailedPrecondition for another kind. */
export function parseImageDocument({ mediaType, digest }: Descriptor, bytes: Buffer): ImageDocument {
  const subject = `manifest ${digest}`;
  const document = parseObject(bytes, subject);
  if (INDEX_TYPES.includes(mediaType)) {
    const manifests = descriptors(document.manifests, `${subject}: manifests`);
    return { kind: 'index', index: { ...document, schemaVersion: 2, manifests } };
  }
  if (!MANIFEST_TYPES.includes(mediaType)) {
    throw failedPrecondition(`${subject}: media type ${JSON.stringify(mediaType)} is none of an image`);
  }
  const [config] = descriptors([document.config], `${subject}: config`);
  const layers = descriptors(document.layers, `${subject}: layers`);
  return { kind: 'manifest', manifest: { ...document, schemaVersion: 2, config: config!, layers } };
}

/** Throws InvalidArgument for what is no JSON object. */
export function parseObject(bytes: Buffer, subject: string): Record<string, unknown> {
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString());
  } catch (error) {
    throw invalidArgument(`${subject} is not JSON`, { cause: error });
  }
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
    return document as Record<string, unknown>;
  }
  throw invalidArgument(`${subject} is no object`);
}

function descriptors(values: unknown, subject: string): Descriptor[] {
  if (!Array.isArray(values)) throw invalidArgument(`${subject} is no list`);
  if (values.length > MAX_CHILDREN) throw invalidArgument(`${subject} has more than ${MAX_CHILDREN} entries`);
  for (const value of values) {
    const { mediaType, digest, size } = Object(value) as Partial<Descriptor>;
    const isSound =
      typeof mediaType === 'string' && typeof digest === 'string' && isDigest(digest) && isSize(size);
    if (!isSound) throw invalidArgument(`${subject} has an entry that is no descriptor`);
  }
  return values as Descriptor[];
}

function isSize(size: unknown): boolean {
  return Number.isSafeInteger(size) && (size as number) >= 0;
}
