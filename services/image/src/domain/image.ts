import { invalidArgument, LongshoreError, messageOf } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import {
  isMapPath,
  type Labels,
  maskMap,
  parseDigest,
  validateLabels,
  withoutEmptyLabels,
} from '@longshore/oci';

/** What a name stands for: a manifest or an index, whose content need not be present. */
export interface Target {
  mediaType: string;
  digest: string;
  sizeBytes: bigint;
  annotations: Record<string, string>;
}

export interface ImageSpec {
  /** Any text but the empty one; it is not interpreted. */
  name: string;
  labels: Labels;
  target: Target;
}

/** An image as it is kept. */
export interface Image extends ImageSpec {
  uid: string;
  scope: Scope;
  revision: bigint;
  createdAt: Date;
  updatedAt: Date;
}

/** Checks an image that is to be stored. Source: containerd core/metadata/images.go, validateImage. */
export function validateImage(image: ImageSpec): ImageSpec {
  if (image.name === '') throw invalidArgument('image name must not be empty');
  checkField('image.Labels', () => validateLabels(image.labels));
  const { target } = image;
  checkField(`Target.Digest ${JSON.stringify(target.digest)} invalid`, () => parseDigest(target.digest));
  if (target.sizeBytes <= 0n) throw invalidArgument('Target.Size must be greater than zero');
  if (target.mediaType === '') throw invalidArgument('Target.MediaType must be set');
  return {
    name: image.name,
    labels: withoutEmptyLabels(image.labels),
    target: { ...target, annotations: withoutEmptyLabels(target.annotations) },
  };
}

/**
 * The image after an update by mask; an empty mask replaces the whole record. Paths apply in their order: `target`
 * replaces the annotations too. Source: containerd core/metadata/images.go, Update.
 */
export function updateImage(stored: Image, requested: ImageSpec, mask: readonly string[]): Image {
  if (mask.length === 0) return { ...stored, ...validateImage(requested) };
  let { labels, target } = stored;
  for (const path of mask) {
    if (path === 'target') target = requested.target;
    else if (isMapPath('labels', path)) labels = maskMap('labels', labels, requested.labels, [path]);
    else if (isMapPath('annotations', path)) target = withAnnotation(target, requested.target, path);
    else {
      throw invalidArgument(
        `cannot update ${JSON.stringify(path)} field on image ${JSON.stringify(stored.name)}`,
      );
    }
  }
  return { ...stored, ...validateImage({ name: stored.name, labels, target }) };
}

/** Throws NotFound when the name stands for another target than `digest`; an empty one is any. */
export function requireTarget({ name, target }: ImageSpec, digest: string): void {
  if (digest === '' || target.digest === digest) return;
  throw new LongshoreError(
    'NotFound',
    `image ${JSON.stringify(name)} has target ${target.digest}, not ${digest}: not found`,
  );
}

const GC_LABEL_PREFIX = 'containerd.io/gc.';

/** Whether a changed image keeps less from being collected than before. */
export function dropsReference(before: ImageSpec, after: ImageSpec): boolean {
  if (before.target.digest !== after.target.digest) return true;
  return Object.entries(before.labels).some(
    ([name, value]) => name.startsWith(GC_LABEL_PREFIX) && after.labels[name] !== value,
  );
}

function withAnnotation(target: Target, requested: Target, path: string): Target {
  const annotations = maskMap('annotations', target.annotations, requested.annotations, [path]);
  return { ...target, annotations };
}

/** Lets the error of a check say which field it is about. */
function checkField(field: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw new LongshoreError('InvalidArgument', `${field}: ${messageOf(error)}`, { cause: error });
  }
}
