import { ReservedLabel } from '@longshore/proto/headers';

interface Labelled {
  labels: Record<string, string>;
}

/** The item, which is ours alone, with the node that it is from. */
export function labelled<T extends Labelled>(item: T, node: string): T {
  item.labels[ReservedLabel.Node] = node;
  return item;
}
