import { invalidArgument } from '@longshore/errors';
import {
  type Digest,
  isMapPath,
  type Labels,
  maskMap,
  validateLabels,
  withoutEmptyLabels,
} from '@longshore/oci';

/**
 * Labels after an update: `labels` or `labels.<key>`, and an empty mask replaces them all.
 * Source: containerd core/metadata/content.go.
 */
export function updateContentLabels(
  digest: Digest,
  stored: Labels,
  requested: Labels,
  mask: readonly string[],
): Labels {
  const bad = mask.find((path) => !isMapPath('labels', path));
  if (bad !== undefined) {
    throw invalidArgument(
      `cannot update ${JSON.stringify(bad)} field on content info ${JSON.stringify(digest)}`,
    );
  }
  const labels = maskMap('labels', stored, requested, mask.length === 0 ? ['labels'] : mask);
  validateLabels(labels);
  return withoutEmptyLabels(labels);
}
