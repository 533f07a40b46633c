import { type Adaptor, mapField, objectAdaptor } from '@longshore/filters';
import type { Image } from '../domain/image.ts';

/** Fields that filters of images may name. Source: containerd core/metadata/adaptors.go. */
export function imageAdaptor({ name, target, labels }: Image): Adaptor {
  const fields = { name, 'target.digest': target.digest, 'target.mediatype': target.mediaType };
  const other = objectAdaptor(fields, labels);
  return (path) => (path[0] === 'annotations' ? mapField(target.annotations, path.slice(1)) : other(path));
}
