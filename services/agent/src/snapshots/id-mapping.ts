import { invalidArgument } from '@longshore/errors';
import type { Labels } from '@longshore/oci';

/** Source: containerd core/snapshots/snapshotter.go. */
const UID_MAPPING = 'containerd.io/snapshot/uidmapping';
const GID_MAPPING = 'containerd.io/snapshot/gidmapping';

/** `container:host:size`, more of them after commas. */
const MAPPING = /^\d{1,10}:\d{1,10}:\d{1,10}(,\d{1,10}:\d{1,10}:\d{1,10})*$/;
/** The last id says "none". */
const IDS = 2 ** 32 - 1;

/** Whose files are whose in a snapshot for a user namespace. */
export interface IdMapping {
  /** As the labels have it: what mount options say too. */
  uids: string;
  gids: string;
  /** Ids on the host of the container's root. */
  rootUid: number;
  rootGid: number;
}

/** What a snapshot's labels ask for; undefined without them. Throws InvalidArgument. */
export function idMappingOf(labels: Labels): IdMapping | undefined {
  const uids = labels[UID_MAPPING];
  const gids = labels[GID_MAPPING];
  if (uids === undefined && gids === undefined) return undefined;
  return {
    uids: uids ?? '',
    gids: gids ?? '',
    rootUid: rootOf(UID_MAPPING, uids ?? ''),
    rootGid: rootOf(GID_MAPPING, gids ?? ''),
  };
}

function rootOf(label: string, mapping: string): number {
  const wrong = (why: string) => invalidArgument(`label ${label} ${JSON.stringify(mapping)}: ${why}`);
  if (!MAPPING.test(mapping)) throw wrong('want container:host:size,…');
  const ranges = mapping.split(',').map((range) => range.split(':').map(Number));
  if (
    ranges.some(([container = 0, host = 0, size = 0]) => size === 0 || Math.max(container, host) + size > IDS)
  ) {
    throw wrong('a range that is empty or ends behind the last id');
  }
  const root = ranges.find(([container]) => container === 0);
  if (!root) throw wrong('nothing is root in the container');
  return root[1]!;
}
