import { invalidArgument } from '@longshore/errors';
import { limitProject } from '@longshore/linux';
import type { Labels } from '@longshore/oci';

/** Most that a snapshot may take of its own, in bytes. */
export const SIZE_LIMIT = 'longshore.io/snapshot.max-bytes';

const WHOLE = /^[1-9]\d{0,17}$/;

/**
 * Has the file system keep all that will be below a new, empty directory to what the labels allow, if they do. Throws
 * InvalidArgument for a label that is no number, FailedPrecondition where the file system keeps no quotas of projects.
 */
export function limitLayer(directory: string, generation: string, labels: Labels): void {
  const limit = labels[SIZE_LIMIT];
  if (limit === undefined) return;
  if (!WHOLE.test(limit)) throw invalidArgument(`label ${SIZE_LIMIT} ${JSON.stringify(limit)}: want bytes`);
  limitProject(directory, Number.parseInt(generation.slice(0, 8), 16), BigInt(limit));
}
