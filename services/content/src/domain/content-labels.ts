import { invalidArgument } from '@longshore/errors';
import { type Digest, isMapPath, type Labels, validateLabels, withoutEmptyLabels } from '@longshore/oci';

/** What an update does to labels, without knowing those that are stored. */
export interface LabelChange {
  /** Whether the others go. */
  readonly replaces: boolean;
  readonly set: Labels;
  readonly unset: readonly string[];
}

/**
 * The change that an update asks for: `labels` or `labels.<key>`; an empty mask replaces them all.
 * Throws InvalidArgument. Source: containerd core/metadata/content.go.
 */
export function contentLabelChange(digest: Digest, requested: Labels, mask: readonly string[]): LabelChange {
  const bad = mask.find((path) => !isMapPath('labels', path));
  if (bad !== undefined) {
    throw invalidArgument(
      `cannot update ${JSON.stringify(bad)} field on content info ${JSON.stringify(digest)}`,
    );
  }
  if (mask.length === 0 || mask.includes('labels')) {
    validateLabels(requested);
    return { replaces: true, set: withoutEmptyLabels(requested), unset: [] };
  }
  const keys = mask.map((path) => path.slice('labels.'.length));
  const asked = Object.fromEntries(Object.entries(requested).filter(([key]) => keys.includes(key)));
  validateLabels(asked);
  const set = withoutEmptyLabels(asked);
  return { replaces: false, set, unset: keys.filter((key) => !Object.hasOwn(set, key)) };
}
