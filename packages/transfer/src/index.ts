export { indexLabels, manifestLabels, sourceLabels } from './blob-labels.ts';
export { ContentStore, type ContentStoreOptions, placeFromProto } from './content-store.ts';
export { diffIdsOf } from './diff-ids.ts';
export { recordImage } from './image-record.ts';
export {
  type Document,
  type ImageManifest,
  type ImageTree,
  readTree,
} from './image-tree.ts';
export { parseImageDocument, parseObject } from './parse-manifest.ts';
export { PlainStore } from './plain-store.ts';
export { ProgressFeed } from './progress-feed.ts';
export { type BlobProgress, fileLayers, type PullRequest, pullImage, type WhenStored } from './pull-image.ts';
export type * from './pull-store.ts';
export { refKey } from './ref-key.ts';
export { Turns } from './turns.ts';
export { extractKey, snapshotLabels, type UnpackStep, unpackSteps } from './unpack-steps.ts';
export { unpackedLabels } from './unpacked-labels.ts';
export { withLease } from './with-lease.ts';
