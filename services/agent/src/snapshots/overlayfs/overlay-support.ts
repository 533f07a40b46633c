import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import { mountAll, unmountRecursive } from '@longshore/linux';

/**
 * Mounts a small overlay below `base` and unmounts it. Throws FailedPrecondition when the kernel or the file system
 * there cannot do it. Source: containerd plugins/snapshots/overlay/overlayutils.
 */
export async function requireOverlaySupport(base: string): Promise<void> {
  // Separators of mount options: the kernel would take what follows for something else.
  if (/[:,\\]/.test(base))
    throw failedPrecondition(`overlayfs below ${JSON.stringify(base)}: the path holds : , or \\`);
  const probe = join(base, '.probe');
  try {
    await removeProbe(probe);
    await tryOverlay(probe);
  } catch (error) {
    throw failedPrecondition(`overlayfs below ${JSON.stringify(base)}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    await removeProbe(probe);
  }
}

async function tryOverlay(probe: string): Promise<void> {
  for (const name of ['lower', 'second', 'upper', 'work', 'merged']) {
    await mkdir(join(probe, name), { recursive: true });
  }
  const options = [
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

/** Ask once the module is loaded, which {@link requireOverlaySupport} sees to. */
export function supportsIndex(): boolean {
  return existsSync('/sys/module/overlay/parameters/index');
}
