import { newGeneration } from '../layer-directories.ts';
import type { NewLayer } from '../snapshotter.ts';

/** A layer to be made, of nobody in particular. */
export function newLayer(
  kind: NewLayer['kind'],
  ancestors: readonly string[] = [],
  more: Partial<NewLayer> = {},
): NewLayer {
  const generation = newGeneration();
  return { generation, kind, ancestors, labels: {}, namespace: 'default', key: `key-${generation}`, ...more };
}
