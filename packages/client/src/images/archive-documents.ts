import { isKind } from '@longshore/errors';
import {
  algorithmOf,
  type Descriptor,
  encodedOf,
  type Index,
  MediaType,
  type Platform,
  parseReference,
  platformsEqual,
} from '@longshore/oci';
import { fileLayers, type ImageManifest } from '@longshore/transfer';
import type { ExportedImage } from './exported-image.ts';
import { Annotation, LAYOUT_VERSION } from './image-archive.ts';

export function layoutFile(): Buffer {
  return toJson({ imageLayoutVersion: LAYOUT_VERSION });
}

/** The index.json of an OCI layout: what each name stands for. */
export function archiveIndex(exported: readonly ExportedImage[]): Buffer {
  const manifests = exported.map(({ image: { name, target } }): Descriptor => {
    const { mediaType, digest, size } = target;
    const tag = tagOf(name);
    const annotations = { [Annotation.ImageName]: name, ...(tag !== '' && { [Annotation.RefName]: tag }) };
    return { mediaType, digest, size, annotations };
  });
  const index: Index = { schemaVersion: 2, mediaType: MediaType.OciIndex, manifests };
  return toJson(index);
}

/** For docker, which takes one platform of an image: the server's, or the only one. */
export function dockerManifest(exported: readonly ExportedImage[], here: Platform): Buffer {
  const entries = exported.flatMap(({ image: { name }, tree: { images } }) => {
    const chosen = images.length === 1 ? images[0] : images.find((each) => isOf(each, here));
    if (!chosen) return [];
    const Layers = fileLayers(chosen).map(pathOf);
    return [
      {
        Config: pathOf(chosen.manifest.config),
        RepoTags: tagOf(name) === '' ? [] : [shortName(name)],
        Layers,
      },
    ];
  });
  return toJson(entries);
}

function isOf({ platform }: ImageManifest, wanted: Platform): boolean {
  return platform !== undefined && platformsEqual(platform, wanted);
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${algorithmOf(digest)}/${encodedOf(digest)}`;
}

/** Empty for a name without a tag, and for what is no reference at all: a record may have any name. */
function tagOf(name: string): string {
  try {
    return parseReference(name).tag;
  } catch (error) {
    if (isKind(error, 'InvalidArgument')) return '';
    throw error;
  }
}

/** As docker shows it. */
function shortName(name: string): string {
  return name.replace(/^docker\.io\/(library\/(?=[^/]*$))?/, '');
}

function toJson(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}
