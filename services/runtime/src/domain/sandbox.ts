import { invalidArgument } from '@longshore/errors';
import type { OpaqueAny, Scope } from '@longshore/kit';
import { isMapPath, type Labels, maskMap, parseIdentifier, withoutEmptyLabels } from '@longshore/oci';

/** What a client says of a sandbox, a group of containers that share a shim: metadata only, nothing runs. */
export interface SandboxSpec {
  id: string;
  labels: Labels;
  runtime: { name: string; options: OpaqueAny | undefined };
  spec: OpaqueAny | undefined;
  extensions: Record<string, OpaqueAny>;
  /** Names the controller that runs it. */
  sandboxer: string;
}

/** A sandbox as it is kept. */
export interface Sandbox extends SandboxSpec {
  uid: string;
  scope: Scope;
  revision: bigint;
  createdAt: Date;
  updatedAt: Date;
}

/** Checks a new sandbox; its labels may have any size. Source: containerd core/metadata/sandbox.go, validate. */
export function validateNewSandbox(requested: SandboxSpec): SandboxSpec {
  parseIdentifier(requested.id, 'sandbox ID');
  return { ...requested, labels: withoutEmptyLabels(requested.labels) };
}

const WHOLE_FIELDS: ReadonlySet<string> = new Set(['runtime', 'spec']);
const ALL_MUTABLE = ['labels', 'extensions', 'runtime', 'spec'];

/**
 * The sandbox after an update of the fields named; without any, everything that may change is replaced, and then the
 * runtime must keep its name. Source: containerd core/metadata/sandbox.go, Update.
 */
export function updateSandbox(stored: Sandbox, requested: SandboxSpec, fields: readonly string[]): Sandbox {
  if (fields.length === 0 && requested.runtime.name !== stored.runtime.name) {
    throw invalidArgument('sandbox.Runtime.Name field is immutable');
  }
  const paths = fields.length === 0 ? ALL_MUTABLE : fields;
  for (const path of paths) {
    if (WHOLE_FIELDS.has(path) || isMapPath('labels', path) || isMapPath('extensions', path)) continue;
    throw invalidArgument(
      `cannot update ${JSON.stringify(path)} field on sandbox ${JSON.stringify(stored.id)}`,
    );
  }
  return {
    ...stored,
    labels: withoutEmptyLabels(maskMap('labels', stored.labels, requested.labels, paths)),
    extensions: maskMap('extensions', stored.extensions, requested.extensions, paths),
    runtime: paths.includes('runtime') ? requested.runtime : stored.runtime,
    spec: paths.includes('spec') ? requested.spec : stored.spec,
  };
}
