import { invalidArgument } from '@longshore/errors';
import type { Mount } from '@longshore/linux';
import type { ExtractionTarget } from './extract/layer-extractor.ts';

/** Where a layer is written: straight into a directory, or into what is mounted for the time of it. */
export type ApplyTarget = ExtractionTarget | { kind: 'mounts'; mounts: readonly Mount[] };

/**
 * What applying a layer onto a snapshot's mounts comes to. One overlay is written through its upper directory, and
 * one writable bind mount through its source, so that nothing needs to be mounted.
 * Source: containerd core/diff/apply/apply_linux.go.
 */
export function planApply(mounts: readonly Mount[]): ApplyTarget {
  const [mount] = mounts;
  if (!mount) throw invalidArgument('a layer needs mounts to be applied onto');
  if (mounts.length > 1 || mount.target) return { kind: 'mounts', mounts };
  if (mount.type === 'overlay') return planOverlay(mount) ?? { kind: 'mounts', mounts };
  const readOnly = mount.options.includes('ro');
  if (mount.type === 'bind' && !readOnly) return { kind: 'directory', path: mount.source };
  return { kind: 'mounts', mounts };
}

/** An overlay without an upper directory is read-only, which mounting it will tell. */
function planOverlay({ options }: Mount): ApplyTarget | undefined {
  const upper = overlayOption(options, 'upperdir=');
  if (!upper) return undefined;
  return {
    kind: 'overlay',
    upper: unescapePath(upper),
    lowers: splitPaths(overlayOption(options, 'lowerdir=') ?? ''),
    opaqueXattr: options.includes('userxattr') ? 'user.overlay.opaque' : 'trusted.overlay.opaque',
  };
}

/**
 * The directories that a snapshot's mounts show merged, the uppermost first; undefined where mounts are of other kinds.
 */
export function layerDirectories(mounts: readonly Mount[]): string[] | undefined {
  const [mount] = mounts;
  if (!mount || mounts.length > 1 || mount.target) return undefined;
  if (mount.type === 'bind') return [mount.source];
  if (mount.type !== 'overlay') return undefined;
  const upper = overlayOption(mount.options, 'upperdir=');
  const lowers = splitPaths(overlayOption(mount.options, 'lowerdir=') ?? '');
  return upper ? [unescapePath(upper), ...lowers] : lowers;
}

/** What follows `prefix`, as it is there; undefined when no option begins with it. */
export function overlayOption(options: readonly string[], prefix: string): string | undefined {
  return options.find((option) => option.startsWith(prefix))?.slice(prefix.length);
}

/** Overlay options separate directories by colons, and escape those in names by a backslash. */
function splitPaths(list: string): string[] {
  return (list.match(/(?:\\.|[^:\\])+/gs) ?? []).map(unescapePath);
}

function unescapePath(path: string): string {
  return path.replace(/\\(.)/gs, '$1');
}
