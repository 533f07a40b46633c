import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** Where Debian's shim listens, of a container, or of a group of them, of this node. Source: containerd pkg/shim/util_unix.go. */
export function shimSocket(nodeSocket: string, namespace: string, id: string): string {
  const name = join(nodeSocket, namespace, id);
  return join('/run/containerd/s', createHash('sha256').update(name).digest('hex'));
}
