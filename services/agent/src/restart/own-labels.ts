import type { CallOptions, ServiceClient } from '@longshore/client';
import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';

/** Nobody waits longer for the control plane to take a label. */
const WRITE_TIMEOUT_MS = 2_000;

export interface OwnLabelsOptions {
  nodeId: string;
  containers: Pick<ServiceClient<typeof Containers>, 'update'>;
  /** Hears what each update has changed. */
  onTrailers?: CallOptions['onTrailers'];
  log: Logger;
}

interface Unwritten {
  value: string;
  /** What the label was before. */
  was: string | undefined;
}

/**
 * Labels that this agent gives to containers by itself: in force here at once, written as soon as the control plane can be
 * reached, forgotten when the agent ends before that. What somebody else has given to the same label meanwhile wins.
 */
export class OwnLabels {
  readonly #options: OwnLabelsOptions;
  /** By `namespace/id`, then by label. */
  readonly #unwritten = new Map<string, Map<string, Unwritten>>();

  constructor(options: OwnLabelsOptions) {
    this.#options = options;
  }

  /** The labels in force, of those that the container's record has. */
  over(namespace: string, id: string, recorded: Labels): Labels {
    const unwritten = this.#unwritten.get(keyOf(namespace, id));
    if (!unwritten) return recorded;
    for (const [label, { was }] of unwritten) if (recorded[label] !== was) unwritten.delete(label);
    if (unwritten.size === 0) this.forget(namespace, id);
    return { ...recorded, ...valuesOf(unwritten) };
  }

  /** Resolves once they are written, or cannot be for now; then {@link write} tries again. Never rejects. */
  async set(namespace: string, id: string, recorded: Labels, changes: Labels): Promise<void> {
    const key = keyOf(namespace, id);
    const unwritten = this.#unwritten.get(key) ?? new Map<string, Unwritten>();
    for (const [label, value] of Object.entries(changes)) {
      unwritten.set(label, { value, was: recorded[label] });
    }
    this.#unwritten.set(key, unwritten);
    await this.write(namespace, id);
  }

  /** Writes what could not be written before. Never rejects. */
  async write(namespace: string, id: string): Promise<void> {
    const unwritten = this.#unwritten.get(keyOf(namespace, id));
    if (!unwritten || unwritten.size === 0) return;
    const { nodeId, containers, onTrailers, log } = this.#options;
    const labels = valuesOf(unwritten);
    const paths = Object.keys(labels).map((label) => `labels.${label}`);
    const options = {
      headers: { [Header.Namespace]: namespace, [Header.Node]: nodeId },
      deadline: new Date(Date.now() + WRITE_TIMEOUT_MS),
      onTrailers,
    };
    try {
      await containers.update({ container: { id, labels }, updateMask: { paths } }, options);
    } catch (error) {
      log.warn({ namespace, id, error: messageOf(error) }, 'labels of container cannot be written');
      if (isKind(error, 'Unavailable', 'DeadlineExceeded', 'Canceled')) return;
    }
    for (const [label, value] of Object.entries(labels)) {
      if (unwritten.get(label)?.value === value) unwritten.delete(label);
    }
    if (unwritten.size === 0) this.forget(namespace, id);
  }

  /** The container is gone. */
  forget(namespace: string, id: string): void {
    this.#unwritten.delete(keyOf(namespace, id));
  }
}

function valuesOf(unwritten: ReadonlyMap<string, Unwritten>): Labels {
  return Object.fromEntries([...unwritten].map(([label, { value }]) => [label, value]));
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
