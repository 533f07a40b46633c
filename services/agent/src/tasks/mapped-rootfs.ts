import { mountAll } from '@longshore/linux';
import type { Mount } from '@longshore/proto/containerd/types/mount';
import type { Bundle } from './bundle.ts';

/**
 * Mounts a root file system whose owners are mapped for a user namespace, and answers what is left to the shim: shims before
 * containerd 2.0 do not know how to. It goes with the bundle.
 */
export async function mountMappedRootfs(bundle: Bundle, rootfs: Mount[]): Promise<Mount[]> {
  const isMapped = rootfs.some(({ options }) => options.some((option) => /^[ug]idmap=/.test(option)));
  if (!isMapped) return rootfs;
  await mountAll(rootfs, bundle.rootfsPath);
  return [];
}
