import type { RuntimeSpec } from '@longshore/oci/runtime-spec';
import type { Container } from '@longshore/proto/containerd/services/containers/v1/containers';

/** A container's OCI spec; undefined when it holds something else, which is its client's right. */
export function specOf({ spec }: Pick<Container, 'spec'>): Partial<RuntimeSpec> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(spec?.value ?? []).toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
