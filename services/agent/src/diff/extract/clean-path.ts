import type { ByteString } from '../tar/byte-string.ts';

/**
 * The components of a path as seen from the root: `.` and empty ones dropped, `..` taken back lexically and never
 * above the root. This makes names comparable; what keeps us inside the root is the kernel (see `layer-root.ts`).
 */
export function cleanPath(path: ByteString): ByteString[] {
  const components: ByteString[] = [];
  for (const component of path.split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..') components.pop();
    else components.push(component);
  }
  return components;
}
