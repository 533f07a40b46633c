import type { CopyReads } from '../records/copy-reads.ts';
import type { RecordCopy } from '../records/record-copy.ts';

/** Whether a container is known to be no more, by the copy of this node's records; false when it cannot say. */
export function isDeletedIn(copy: CopyReads): (namespace: string, id: string) => boolean {
  return (namespace, id) => copy.isComplete('runtime') && copy.get('container', namespace, id) === undefined;
}

/** Calls `listener` after each deletion of a container. */
export function onContainerDeleted(
  copy: Pick<RecordCopy, 'onChange'>,
  listener: (namespace: string, id: string) => void,
): void {
  copy.onChange(({ kind, namespace, key, deleted }) => {
    if (kind === 'container' && deleted) listener(namespace, key);
  });
}
