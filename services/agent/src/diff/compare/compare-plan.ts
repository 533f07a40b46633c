import type { Mount } from '@longshore/linux';
import { layerDirectories, overlayOption } from '../mount-plan.ts';

/** How two sets of mounts are compared. */
export interface ComparePlan {
  lower: readonly Mount[];
  upper: readonly Mount[];
  /** The directory that the upper mounts add to what is the lower ones otherwise; undefined where it is not so. */
  added: string | undefined;
}

/**
 * Both sides are mounted read-only: a container may run on the upper one, whose directory must not be mounted for
 * writing twice. Of a snapshot and its parent only the snapshot's own directory has to be walked.
 */
export function planCompare(lower: readonly Mount[], upper: readonly Mount[]): ComparePlan {
  const [below, all] = [layerDirectories(lower), layerDirectories(upper)];
  const isOnTop =
    below !== undefined &&
    all !== undefined &&
    all.length === below.length + 1 &&
    below.length > 0 &&
    below.every((path, index) => path === all[index + 1]);
  return {
    lower: lower.map(readOnly),
    upper: upper.map(readOnly),
    added: isOnTop ? all[0] : undefined,
  };
}

function readOnly(mount: Mount): Mount {
  if (mount.type === 'overlay') return { ...mount, options: readOnlyOverlay(mount.options) };
  const options = mount.options.filter((option) => option !== 'rw' && option !== 'ro');
  return { ...mount, options: [...options, 'ro'] };
}

/** The upper directory becomes the first of the lower ones. Source: containerd core/mount/mount.go readonlyOverlay. */
function readOnlyOverlay(options: readonly string[]): string[] {
  const upper = overlayOption(options, 'upperdir=');
  const kept = options.filter((option) => !/^(upperdir=|workdir=|volatile$|rw$)/.test(option));
  if (upper === undefined) return kept;
  // Colons separate lower directories, and are not special in an upper one.
  const first = upper.replace(/(?<!\\):/g, '\\:');
  return kept.map((option) => option.replace(/^lowerdir=/, () => `lowerdir=${first}:`));
}
