import { randomBytes } from 'node:crypto';
import { invalidArgument } from '@longshore/errors';
import { chainIds, type Descriptor, type Digest, type Labels } from '@longshore/oci';

/** What becomes of one layer. */
export interface UnpackStep {
  /** Its place, 0 for the lowest. */
  n: number;
  layer: Descriptor;
  diffId: Digest;
  /** Names of the snapshot to make and of the one below, which is empty for none. */
  name: string;
  parent: string;
}

/** Says that a snapshot under this name makes the new one needless. */
const TARGET = 'containerd.io/snapshot.ref';

/** Lowest first. Throws InvalidArgument for a config that is not of these layers. */
export function unpackSteps(layers: readonly Descriptor[], diffIds: readonly Digest[]): UnpackStep[] {
  if (layers.length !== diffIds.length) {
    throw invalidArgument(`image has ${layers.length} layers, its config names ${diffIds.length}`);
  }
  const names = chainIds(diffIds);
  return layers.map((layer, n) => ({
    n,
    layer,
    diffId: diffIds[n]!,
    name: names[n]!,
    parent: names[n - 1] ?? '',
  }));
}

/** What is written on the snapshot, from its beginning on. Source: containerd core/unpack/unpacker.go. */
export function snapshotLabels({ name, parent, diffId }: UnpackStep): Labels {
  return {
    [TARGET]: name,
    'containerd.io/snapshot/diff-id': diffId,
    ...(parent !== '' && { 'containerd.io/snapshot/parent-chain-id': parent }),
  };
}

/** Of a snapshot being made: as containerd names them, so that tools which clean up after it know them. */
export function extractKey(name: string): string {
  return `extract-${process.hrtime.bigint() % 1_000_000_000n}-${randomBytes(3).toString('base64url')} ${name}`;
}
