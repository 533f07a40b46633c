import { failedPrecondition, invalidArgument } from '@longshore/errors';
import type { OpaqueAny, Scope } from '@longshore/kit';
import {
  isMapPath,
  type Labels,
  maskMap,
  parseIdentifier,
  REMOVE_LABEL,
  RESTART_STATUS_LABEL,
  Removal,
  validateLabels,
  withoutEmptyLabels,
} from '@longshore/oci';

/** What a client says of a container: metadata only, no process. */
export interface ContainerSpec {
  id: string;
  labels: Labels;
  image: string;
  runtime: { name: string; options: OpaqueAny | undefined };
  spec: OpaqueAny;
  snapshotter: string;
  snapshotKey: string;
  extensions: Record<string, OpaqueAny>;
  sandbox: string;
}

/** A container that is about to be kept. */
export interface NewContainer extends ContainerSpec {
  scope: Scope;
  revision: bigint;
}

/** A container as it is kept. */
export interface Container extends NewContainer {
  uid: string;
  createdAt: Date;
  updatedAt: Date;
  /** Since when it only waits for its node to say that no task of it runs. */
  deletingAt: Date | undefined;
}

/** What is known of a container that is gone; `revision` is that of its deletion. */
export type DeletedContainer = Pick<Container, 'scope' | 'id' | 'revision'>;

/** Checks a new container. Source: containerd core/metadata/containers.go, validateContainer. */
export function validateNewContainer(
  requested: Omit<ContainerSpec, 'spec'> & { spec: OpaqueAny | undefined },
): ContainerSpec {
  parseIdentifier(requested.id);
  for (const key of Object.keys(requested.extensions)) {
    if (key === '') throw invalidArgument('extension keys must not be zero-length');
  }
  validateLabels(requested.labels);
  validateRemoval(requested.labels);
  if (requested.runtime.name === '') throw invalidArgument('container.Runtime.Name must be set');
  if (requested.spec === undefined) throw invalidArgument('container.Spec must be set');
  if (requested.snapshotKey !== '' && requested.snapshotter === '') {
    throw invalidArgument('container.Snapshotter must be set if container.SnapshotKey is set');
  }
  return { ...requested, spec: requested.spec, labels: withoutEmptyLabels(requested.labels) };
}

const WHOLE_FIELDS: ReadonlySet<string> = new Set(['spec', 'image', 'snapshotkey']);
const ALL_MUTABLE = ['labels', 'spec', 'extensions', 'image', 'snapshotkey'];

/**
 * The container after an update by mask; an empty mask replaces everything that may change, and then the fixed
 * fields must be repeated as they are. Source: containerd core/metadata/containers.go, Update.
 */
export function updateContainer(
  stored: Container,
  requested: Omit<ContainerSpec, 'spec'> & { spec: OpaqueAny | undefined },
  mask: readonly string[],
): Container {
  if (stored.deletingAt) throw failedPrecondition(`container ${JSON.stringify(stored.id)}: is being deleted`);
  if (mask.length === 0) requireSameFixedFields(stored, requested);
  const paths = mask.length === 0 ? ALL_MUTABLE : mask;
  for (const path of paths) {
    if (WHOLE_FIELDS.has(path) || isMapPath('labels', path) || isMapPath('extensions', path)) continue;
    throw invalidArgument(
      `cannot update ${JSON.stringify(path)} field on container ${JSON.stringify(stored.id)}`,
    );
  }
  const has = (path: string) => paths.includes(path);
  const updated = {
    ...stored,
    labels: maskMap('labels', stored.labels, requested.labels, paths),
    extensions: maskMap('extensions', stored.extensions, requested.extensions, paths),
    spec: has('spec') ? requested.spec : stored.spec,
    image: has('image') ? requested.image : stored.image,
    snapshotKey: has('snapshotkey') ? requested.snapshotKey : stored.snapshotKey,
  };
  return { ...updated, ...validateNewContainer(updated) };
}

const REMOVALS: ReadonlySet<string> = new Set(['', ...Object.values(Removal)]);

function validateRemoval({ [REMOVE_LABEL]: removal = '', [RESTART_STATUS_LABEL]: restarts }: Labels): void {
  if (!REMOVALS.has(removal)) {
    throw invalidArgument(
      `label ${JSON.stringify(REMOVE_LABEL)}: want ${JSON.stringify(Removal.AfterExit)}, not ${JSON.stringify(removal)}`,
    );
  }
  if (removal === '' || !restarts) return;
  throw invalidArgument(
    `labels ${JSON.stringify(REMOVE_LABEL)} and ${JSON.stringify(RESTART_STATUS_LABEL)}: want one of them`,
  );
}

function requireSameFixedFields(
  stored: Container,
  requested: Pick<ContainerSpec, 'snapshotter' | 'runtime'>,
): void {
  if (requested.snapshotter !== stored.snapshotter) {
    throw invalidArgument('container.Snapshotter field is immutable');
  }
  if (requested.runtime.name !== stored.runtime.name) {
    throw invalidArgument('container.Runtime.Name field is immutable');
  }
}
