import { invalidArgument } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import {
  isDigest,
  isMapPath,
  type Labels,
  maskMap,
  validateLabels,
  withoutEmptyLabels,
} from '@longshore/oci';

/** What an image's name stands for: a manifest or an index. It need not be stored. */
export interface Target {
  mediaType: string;
  digest: string;
  /** Bytes; containerd's type, int64. */
  size: bigint;
  annotations: Record<string, string>;
}

/** What a client says of an image. The name is opaque. */
export interface ImageSpec {
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

/** Until this moment the record keeps itself; a bad date keeps it for ever, as containerd has it. */
const EXPIRE_LABEL = 'containerd.io/gc.expire';

/** When the record may be collected, by its label; undefined when it does not expire. */
export function expiryOf(labels: Readonly<Labels>): Date | undefined {
  const text = labels[EXPIRE_LABEL];
  if (text === undefined || !/^\d{4}-\d\d-\d\dT/.test(text)) return undefined;
  const expiry = new Date(text);
  return Number.isNaN(expiry.getTime()) ? undefined : expiry;
}

/** Throws InvalidArgument in containerd's words. Source: containerd core/metadata/images.go, validateImage. */
export function validateImage(
  requested: Omit<ImageSpec, 'target'> & { target: Target | undefined },
): ImageSpec {
  if (requested.name === '') throw invalidArgument('image name must not be empty');
  validateLabels(requested.labels);
  return {
    name: requested.name,
    labels: withoutEmptyLabels(requested.labels),
    target: validateTarget(requested.target),
  };
}

const ALL_FIELDS = ['labels', 'target'];

/**
 * The image after an update by mask; an empty mask replaces the whole record.
 * Source: containerd core/metadata/images.go, Update.
 */
export function updateImage(
  stored: Image,
  requested: Omit<ImageSpec, 'target'> & { target: Target | undefined },
  mask: readonly string[],
): Image {
  const paths = mask.length === 0 ? ALL_FIELDS : mask;
  for (const path of paths) {
    if (path === 'target' || isMapPath('labels', path) || isMapPath('annotations', path)) continue;
    throw invalidArgument(
      `cannot update ${JSON.stringify(path)} field on image ${JSON.stringify(stored.name)}`,
    );
  }
  const base = paths.includes('target') ? requested.target : stored.target;
  const annotations = requested.target?.annotations ?? {};
  const target = base && {
    ...base,
    annotations: maskMap('annotations', base.annotations, annotations, paths),
  };
  const labels = maskMap('labels', stored.labels, requested.labels, paths);
  return { ...stored, ...validateImage({ name: stored.name, labels, target }) };
}

function validateTarget(target: Target | undefined): Target {
  if (!target || !isDigest(target.digest)) {
    throw invalidArgument(`Target.Digest ${JSON.stringify(target?.digest ?? '')} invalid`);
  }
  if (target.size <= 0n) throw invalidArgument('Target.Size must be greater than zero');
  if (target.mediaType === '') throw invalidArgument('Target.MediaType must be set');
  return target;
}
