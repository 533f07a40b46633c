import type { Progress } from '@longshore/client';
import type { ProgressLine, ProgressPicture } from './progress-view.ts';

/** How the library tells of a transfer, as it is shown. */
export function transferPicture(progress: Progress): ProgressPicture {
  const { phase, name, blobs, nodes, doneBytes, totalBytes, bytesPerSecond, remainingMs } = progress;
  const blobLines = blobs.map(
    (blob): ProgressLine => ({
      name: blob.digest.replace(/^(\w+):([0-9a-f]{12}).*$/, '$2'),
      state: blob.state,
      doneBytes: blob.offsetBytes,
      totalBytes: blob.totalBytes,
    }),
  );
  const nodeLines = nodes.map(
    ({ node, isDone, error, layers }): ProgressLine => ({
      name: `node ${node}`,
      state: error ? 'failed' : isDone ? 'done' : 'installing',
      doneBytes: layers.reduce((sum, layer) => sum + layer.offsetBytes, 0),
      totalBytes: layers.reduce((sum, layer) => sum + layer.totalBytes, 0),
    }),
  );
  const lines = [...blobLines, ...nodeLines];
  return { title: `${name}: ${phase}`, lines, doneBytes, totalBytes, bytesPerSecond, remainingMs };
}
