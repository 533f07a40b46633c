import {
  applySpecOptions,
  defaultSpec,
  encodeSpec,
  type RuntimeSpec,
  type SpecOption,
} from '@longshore/oci/runtime-spec';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import type { ContainerDraft, ContainerOption } from './container-draft.ts';
import type { SpecPart } from './spec-part.ts';

/** containerd's default of a Linux container, with these changes, in their order. */
export function withNewSpec(...parts: readonly (SpecOption | SpecPart)[]): ContainerOption {
  return async (draft) => {
    const { id, connection } = draft;
    const spec = defaultSpec({ namespace: connection.namespace, id });
    await put(draft, await applyParts(draft, spec, parts));
  };
}

/** A whole spec, with changes. */
export function withSpec(spec: RuntimeSpec, ...parts: readonly (SpecOption | SpecPart)[]): ContainerOption {
  return async (draft) => put(draft, await applyParts(draft, spec, parts));
}

async function applyParts(
  draft: ContainerDraft,
  spec: RuntimeSpec,
  parts: readonly (SpecOption | SpecPart)[],
): Promise<RuntimeSpec> {
  let changed = spec;
  for (const part of parts) {
    const option = typeof part === 'function' ? part : await part.resolve(draft);
    changed = applySpecOptions(changed, option);
  }
  return changed;
}

async function put({ record }: ContainerDraft, spec: RuntimeSpec): Promise<void> {
  record.spec = { typeUrl: JsonTypeUrl.Spec, value: encodeSpec(spec) };
}
