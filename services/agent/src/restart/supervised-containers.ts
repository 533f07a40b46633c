import { fromBinary } from '@bufbuild/protobuf';
import { isKind } from '@longshore/errors';
import { parseFilters } from '@longshore/filters';
import { REMOVE_LABEL } from '@longshore/oci';
import {
  type Container,
  ContainerSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';
import type { RecordCopy } from '../records/record-copy.ts';
import type { ContainerLookup } from '../tasks/task-context.ts';
import { RestartLabel } from './restart-labels.ts';

export interface ContainerName {
  namespace: string;
  id: string;
}

/** By which its maker asks for something. */
const ASKING = [RestartLabel.Status, REMOVE_LABEL];
const ASKS = parseFilters(ASKING.map((label) => `labels.${JSON.stringify(label)}`));

/** For a control plane that must be asked, because the copy cannot say. */
const LOOKUP_TIMEOUT_MS = 5_000;

/** The containers of this node whose labels ask for something about their tasks. */
export class SupervisedContainers {
  readonly #copy: RecordCopy;
  readonly #lookup: ContainerLookup;

  constructor(copy: RecordCopy, lookup: ContainerLookup) {
    this.#copy = copy;
    this.#lookup = lookup;
  }

  /** As far as this node knows; nothing before the records were all here once. */
  async *names(): AsyncGenerator<ContainerName> {
    const { lastKnown } = this.#copy;
    if (!lastKnown.isComplete('runtime')) return;
    for (const namespace of this.#copy.namespaces()) {
      for await (const records of lastKnown.select('container', namespace, ASKS)) {
        // The index of labels gives at least the wanted ones.
        for (const { key, value } of records) {
          if (isSupervised(fromBinary(ContainerSchema, value))) yield { namespace, id: key };
        }
      }
    }
  }

  /** Undefined when there is none, or nothing is asked for any more. Throws when nobody knows. */
  async find({ namespace, id }: ContainerName, signal: AbortSignal): Promise<Container | undefined> {
    const deadline = new Date(Date.now() + LOOKUP_TIMEOUT_MS);
    try {
      const container = await this.#lookup.get(id, { namespace, signal, deadline });
      return isSupervised(container) ? container : undefined;
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  /** Calls `listener` after each change of a container, with whether its labels ask for something now; the answer ends that. */
  onChange(listener: (container: ContainerName, isSupervised: boolean) => void): () => void {
    return this.#copy.onChange(({ kind, namespace, key, value, deleted }) => {
      if (kind !== 'container') return;
      // Of a long record only the name was told.
      const isAsked = !deleted && (value.length === 0 || isSupervised(fromBinary(ContainerSchema, value)));
      listener({ namespace, id: key }, isAsked);
    });
  }
}

function isSupervised({ labels }: Container): boolean {
  return ASKING.some((label) => Object.hasOwn(labels, label));
}
