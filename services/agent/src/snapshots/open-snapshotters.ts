import { join } from 'node:path';
import { NativeSnapshotter } from './native/native-snapshotter.ts';
import { OverlayfsSnapshotter } from './overlayfs/overlayfs-snapshotter.ts';
import type { ProxyPlugin } from './proxy/proxy-plugin.ts';
import { ProxySnapshotter } from './proxy/proxy-snapshotter.ts';
import type { Snapshotter } from './snapshotter.ts';

/** All that clients can choose on this node, each below `<base>/<its name>`. */
export async function openSnapshotters(
  base: string,
  proxies: readonly ProxyPlugin[],
): Promise<Snapshotter[]> {
  return [
    await OverlayfsSnapshotter.open(join(base, OVERLAYFS)),
    await NativeSnapshotter.open(join(base, NATIVE)),
    ...(await Promise.all(proxies.map((plugin) => ProxySnapshotter.open(join(base, plugin.name), plugin)))),
  ];
}

const OVERLAYFS = 'overlayfs';
const NATIVE = 'native';
