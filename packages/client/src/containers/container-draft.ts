import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ImageConfig } from '@longshore/oci';
import type { ContainerSchema } from '@longshore/proto/containerd/services/containers/v1/containers';
import type { CallOptions } from '@longshore/rpc';
import type { Connection } from '../connection/connection.ts';
import type { ContainerImage } from './container-image.ts';

/** The record of a container that is being made. */
export interface ContainerDraft {
  readonly id: string;
  readonly connection: Connection;
  /** For the calls that options make. */
  readonly call: CallOptions;
  /** Each image's is read once. */
  configOf(image: ContainerImage): Promise<ImageConfig>;
  record: MessageInitShape<typeof ContainerSchema>;
}

/** One step in making a container; they are taken in their order, of which later ones see what earlier ones did. */
export type ContainerOption = (draft: ContainerDraft) => void | Promise<void>;

/** Options in their order, and those for the calls that are made, as they may come among them. */
export function stepsAndCall(
  options: readonly (ContainerOption | CallOptions)[],
): [steps: ContainerOption[], call: CallOptions] {
  const steps = options.filter((option) => typeof option === 'function');
  const call = Object.assign({}, ...options.filter((option) => typeof option !== 'function'));
  return [steps, call];
}
