import { invalidArgument } from '@longshore/errors';
import { ReservedLabel } from '@longshore/proto/headers';

export type LabelChanges = Readonly<Record<string, string | null>>;

const RESERVED: ReadonlySet<string> = new Set(Object.values(ReservedLabel));

/** Throws InvalidArgument for a label that is longshore's own. */
export function requireOwn<L extends LabelChanges | undefined>(labels: L): L {
  const reserved = Object.keys(labels ?? {}).find((name) => RESERVED.has(name));
  if (reserved === undefined) return labels;
  throw invalidArgument(`label ${JSON.stringify(reserved)}: it is reserved`);
}

/** As containerd's updates have it: what the mask names and the labels do not have is taken away. */
export function labelUpdate(changes: LabelChanges): { labels: Record<string, string>; paths: string[] } {
  requireOwn(changes);
  const set = Object.entries(changes).filter((entry): entry is [string, string] => entry[1] !== null);
  return { labels: Object.fromEntries(set), paths: Object.keys(changes).map((name) => `labels.${name}`) };
}

/** What is told of labels: not those that say where and how a record is, which have fields of their own. */
export function ownLabels(labels: Record<string, string>): Record<string, string> {
  const { [ReservedLabel.Node]: _node, [ReservedLabel.Deleting]: _deleting, ...own } = labels;
  return own;
}
