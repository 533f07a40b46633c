import type { Image } from './image.ts';
import type { StoredTree } from './stored-tree.ts';

/** An image to export, and what is stored of it. */
export interface ExportedImage {
  image: Image;
  tree: StoredTree;
}
