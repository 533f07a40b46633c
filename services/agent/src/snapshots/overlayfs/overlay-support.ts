import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import { mountAll, unmountRecursive } from '@longshore/linux';

/** What the kernel and the file system below can do. */
export interface OverlaySupport {
  /** Of every overlay mount. */
  options: readonly string[];
  /** Whether a mount can map the owners of its lower directories. */
  mapsIds: boolean;
}

/**
 * Mounts small overlays below `base` and unmounts them. Throws FailedPrecondition when the kernel or the file system
 * there cannot do it. Source: containerd plugins/snapshots/overlay/overlayutils.
 */
export async function overlaySupport(base: string): Promise<OverlaySupport> {
  // Separators of mount options: the kernel would take what follows for something else.
  if (/[:,\\]/.test(base))
    throw failedPrecondition(`overlayfs below ${JSON.stringify(base)}: the path holds : , or \\`);
  const probe = join(base, '.probe');
  try {
    const userxattr = inUserNamespace() && (await works(probe, ['userxattr'])) ? ['userxattr'] : [];
    await tryOverlay(probe, userxattr);
    // An index would tie an upper directory to its lower ones, which other mounts use as well.
    const index = supportsIndex() ? ['index=off'] : [];
    const mapsIds = await works(probe, [...userxattr, 'uidmap=0:1:1', 'gidmap=0:1:1']);
    return { options: [...userxattr, ...index], mapsIds };
  } catch (error) {
    throw failedPrecondition(`overlayfs below ${JSON.stringify(base)}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    await removeProbe(probe);
  }
}

async function works(probe: string, options: readonly string[]): Promise<boolean> {
  try {
    await tryOverlay(probe, options);
    return true;
  } catch {
    return false;
  }
}

async function tryOverlay(probe: string, more: readonly string[]): Promise<void> {
  await removeProbe(probe);
  for (const name of ['lower', 'second', 'upper', 'work', 'merged']) {
    await mkdir(join(probe, name), { recursive: true });
  }
  const options = [
    ...more,
    `lowerdir=${join(probe, 'lower')}:${join(probe, 'second')}`,
    `upperdir=${join(probe, 'upper')}`,
    `workdir=${join(probe, 'work')}`,
  ];
  await mountAll([{ type: 'overlay', source: 'overlay', options }], join(probe, 'merged'));
}

/** Also what a process left that was killed while it tried. */
async function removeProbe(probe: string): Promise<void> {
  await unmountRecursive(probe);
  await rm(probe, { recursive: true, force: true });
}

/** Where attributes `trusted.*` are out of reach. */
function inUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

/** The module is loaded by the first overlay. */
function supportsIndex(): boolean {
  return existsSync('/sys/module/overlay/parameters/index');
}
