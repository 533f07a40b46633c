import { invalidArgument } from '@longshore/errors';
import { type Descriptor, digestOf, MediaType, parseReference } from '@longshore/oci';
import { parseImageDocument, parseObject } from '@longshore/transfer';
import { type ArchivedImage, nameInFull } from './archived-image.ts';
import { Annotation, LAYOUT_VERSION } from './image-archive.ts';

/**
 * The images of an OCI layout. `baseName` is put before what is only a tag. Throws InvalidArgument for a layout of another version or a
 * malformed index. Source: OCI image-spec image-layout.md.
 */
export function layoutImages(layout: Buffer, index: Buffer, baseName: string): ArchivedImage[] {
  const { imageLayoutVersion } = parseObject(layout, 'oci-layout of the archive');
  if (imageLayoutVersion !== LAYOUT_VERSION) {
    throw invalidArgument(
      `archive has an OCI layout of the unknown version ${JSON.stringify(imageLayoutVersion)}`,
    );
  }
  const descriptor = { mediaType: MediaType.OciIndex, digest: digestOf(index), size: index.length };
  const document = parseImageDocument(descriptor, index);
  if (document.kind !== 'index') return [];
  return document.index.manifests.map((manifest) => {
    const { mediaType, digest, size } = manifest;
    return { target: { mediaType, digest, size }, names: namesOf(manifest, baseName) };
  });
}

/** Tools put a full name, a short one or only a tag there. */
function namesOf({ annotations = {} }: Descriptor, baseName: string): string[] {
  const { [Annotation.ImageName]: name, [Annotation.RefName]: reference } = Object(annotations);
  if (typeof name === 'string' && name !== '') return [nameInFull(name)];
  if (typeof reference !== 'string' || reference === '') return [];
  if (/[/:]/.test(reference)) return [nameInFull(reference)];
  const tagged = `${baseName}:${reference}`;
  parseReference(tagged);
  return [tagged];
}
