import { isKind, messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Labels } from '@longshore/oci';
import type { Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Header } from '@longshore/proto/headers';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import type { OwnLabel, OwnLabelStore } from './own-label-store.ts';

/** Nobody waits longer for the control plane to take a label. */
const WRITE_TIMEOUT_MS = 2_000;

/** The control plane has decided; whatever else it fails with may pass, e.g. a certificate that was revoked. */
const FINAL = ['NotFound', 'InvalidArgument', 'FailedPrecondition', 'Unimplemented'] as const;

export interface OwnLabelsOptions {
  nodeId: string;
  containers: Pick<ServiceClient<typeof Containers>, 'update'>;
  store: Pick<OwnLabelStore, 'all' | 'put' | 'remove'>;
  /** Hears what each update has changed. */
  onTrailers?: CallOptions['onTrailers'];
  log: Logger;
}

type Unwritten = Pick<OwnLabel, 'value' | 'was' | 'made'>;

/** What a container's record says. */
export type Recorded = Pick<Container, 'labels' | 'createdAt'>;

/**
 * Labels that this agent gives to containers by itself: in force here at once, written as soon as the control plane can be
 * reached, by the next agent if need be. What somebody else has given to the same label meanwhile wins.
 */
export class OwnLabels {
  readonly #options: OwnLabelsOptions;
  /** By `namespace/id`, then by label. */
  readonly #unwritten = new Map<string, Map<string, Unwritten>>();

  /** Goes on with what an earlier agent could not write. */
  constructor(options: OwnLabelsOptions) {
    this.#options = options;
    for (const { namespace, id, label, ...rest } of options.store.all()) {
      this.#of(namespace, id).set(label, rest);
    }
  }

  /** The labels in force, of those that the container's record has. What an earlier one of its name was given is forgotten. */
  over(namespace: string, id: string, recorded: Recorded): Labels {
    const unwritten = this.#unwritten.get(keyOf(namespace, id));
    if (!unwritten) return recorded.labels;
    for (const [label, { was, made }] of unwritten) {
      if (recorded.labels[label] !== was || made !== madeAt(recorded)) this.#remove(namespace, id, label);
    }
    return { ...recorded.labels, ...valuesOf(unwritten) };
  }

  /** Resolves once they are written, or cannot be for now; then {@link write} tries again. Never rejects. */
  async set(namespace: string, id: string, recorded: Recorded, changes: Labels): Promise<void> {
    for (const [label, value] of Object.entries(changes)) {
      const entry = { value, was: recorded.labels[label], made: madeAt(recorded) };
      this.#of(namespace, id).set(label, entry);
      this.#keep('kept', () => this.#options.store.put({ namespace, id, label, ...entry }));
    }
    await this.write(namespace, id);
  }

  /** Writes what could not be written before. Never rejects. */
  async write(namespace: string, id: string): Promise<void> {
    const unwritten = this.#unwritten.get(keyOf(namespace, id));
    if (!unwritten) return;
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
      if (!isKind(error, ...FINAL)) return;
    }
    for (const [label, value] of Object.entries(labels)) {
      if (unwritten.get(label)?.value === value) this.#remove(namespace, id, label);
    }
  }

  /** The container is gone. */
  forget(namespace: string, id: string): void {
    for (const label of this.#unwritten.get(keyOf(namespace, id))?.keys() ?? []) {
      this.#remove(namespace, id, label);
    }
  }

  #of(namespace: string, id: string): Map<string, Unwritten> {
    const key = keyOf(namespace, id);
    const unwritten = this.#unwritten.get(key) ?? new Map<string, Unwritten>();
    this.#unwritten.set(key, unwritten);
    return unwritten;
  }

  #remove(namespace: string, id: string, label: string): void {
    const key = keyOf(namespace, id);
    const unwritten = this.#unwritten.get(key);
    unwritten?.delete(label);
    if (unwritten?.size === 0) this.#unwritten.delete(key);
    this.#keep('forgotten', () => this.#options.store.remove(namespace, id, label));
  }

  /** Without it they are in force all the same, until this agent ends. */
  #keep(what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.log.error({ error: messageOf(error) }, `a label cannot be ${what} on the disk`);
    }
  }
}

function valuesOf(unwritten: ReadonlyMap<string, Unwritten>): Labels {
  return Object.fromEntries([...unwritten].map(([label, { value }]) => [label, value]));
}

function madeAt({ createdAt }: Recorded): string {
  return createdAt ? `${createdAt.seconds}.${createdAt.nanos}` : '';
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
