import { isKind, LongshoreError, messageOf, unavailable } from '@longshore/errors';
import type { Mount } from '@longshore/linux';
import type { Labels } from '@longshore/oci';
import {
  type Info,
  Kind,
  Snapshots as SnapshotsService,
} from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { type CallOptions, Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { mountFromProto } from '../../rpc/convert-mount.ts';
import { inheritedLabels, isInherited, snapshotRef } from '../snapshot-labels.ts';
import type { Layer, LayerCommit, Made, NewLayer, Snapshotter, Usage } from '../snapshotter.ts';
import { type Backed, LayerLinks } from './layer-links.ts';
import type { ProxyPlugin } from './proxy-plugin.ts';

/** Of calls that no caller waits for, or whose callers set no limit. A remote layer is looked for in its registry. */
const TIMEOUT_MS = 60_000;
/** A link's target is a path to the kernel. */
const MAX_KEY_LENGTH = 1024;

/**
 * Layers that another process keeps, which serves `snapshots.v1` on a socket of this machine. It is called only when it
 * is needed, and may come and go. Source: containerd core/snapshots/proxy, core/metadata/snapshot.go.
 */
export class ProxySnapshotter implements Snapshotter {
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly exports: Readonly<Record<string, string>>;
  readonly directories: LayerLinks;
  readonly #channel: Channel;
  readonly #client: ServiceClient<typeof SnapshotsService>;

  private constructor(plugin: ProxyPlugin, links: LayerLinks, channel: Channel) {
    this.name = plugin.name;
    this.capabilities = plugin.capabilities;
    this.exports = plugin.exports;
    this.directories = links;
    this.#channel = channel;
    this.#client = createClient(SnapshotsService, channel);
  }

  /** Does not look whether anybody serves at the address. */
  static async open(base: string, plugin: ProxyPlugin): Promise<ProxySnapshotter> {
    const channel = new Channel(plugin.address);
    const client = createClient(SnapshotsService, channel);
    const links = await LayerLinks.open(base, async ({ namespace, name }) => {
      try {
        await client.remove({ snapshotter: plugin.name, key: name }, optionsOf(namespace));
      } catch (error) {
        if (!isKind(error, 'NotFound')) throw error;
      }
    });
    return new ProxySnapshotter(plugin, links, channel);
  }

  async create(layer: NewLayer, signal?: AbortSignal): Promise<Made> {
    const { generation, namespace, kind, key, labels, ancestors } = layer;
    const parent = this.#nameOf(ancestors[0]);
    const name = nameOf(namespace, generation, key);
    this.directories.set(generation, { namespace, name });
    const request = { snapshotter: this.name, key: name, parent, labels: inheritedLabels(labels) };
    const options = optionsOf(namespace, signal);
    try {
      const { mounts } =
        kind === 'view'
          ? await this.#client.view(request, options)
          : await this.#client.prepare(request, options);
      return { kind: 'made', mounts: mounts.map(mountFromProto) };
    } catch (error) {
      const target = snapshotRef(labels);
      if (!isKind(error, 'AlreadyExists')) throw error;
      // The name is new, so this is about what the label names.
      if (target === undefined) throw new LongshoreError('Unknown', this.#says(error), { cause: error });
      return this.#takeFound(layer, target, parent, options);
    }
  }

  async mounts({ generation }: Layer): Promise<Mount[]> {
    const { namespace, name } = this.directories.get(generation);
    const { mounts } = await this.#client.mounts({ snapshotter: this.name, key: name }, optionsOf(namespace));
    return mounts.map(mountFromProto);
  }

  async usage(generation: string, signal?: AbortSignal): Promise<Usage> {
    const { namespace, name } = this.directories.get(generation);
    const request = { snapshotter: this.name, key: name };
    const { size, inodes } = await this.#client.usage(request, optionsOf(namespace, signal));
    return { sizeBytes: size, inodes };
  }

  async commit(
    { generation, namespace, name, labels, newParent }: LayerCommit,
    signal?: AbortSignal,
  ): Promise<void> {
    const active = this.directories.get(generation);
    const committed = { namespace, name: nameOf(namespace, generation, name) };
    const options = optionsOf(namespace, signal);
    const request = {
      snapshotter: this.name,
      key: active.name,
      name: committed.name,
      labels: inheritedLabels(labels),
      parent: this.#nameOf(newParent),
    };
    try {
      await this.#client.commit(request, options);
    } catch (error) {
      if (await this.#isCommitted(active, options)) return;
      // An attempt before this one came as far, and nobody heard of it.
      if (!(await this.#isCommitted(committed, options))) throw error;
    }
    this.directories.set(generation, committed);
  }

  async relabel(generation: string, labels: Labels, mask: readonly string[]): Promise<void> {
    const paths = mask.filter((path) => path === 'labels' || isInherited(path.slice('labels.'.length)));
    if (mask.length > 0 && paths.length === 0) return;
    const { namespace, name } = this.directories.get(generation);
    const info = { name, labels: inheritedLabels(labels) };
    const updateMask = paths.length > 0 ? { updateMask: { paths } } : {};
    await this.#client.update({ snapshotter: this.name, info, ...updateMask }, optionsOf(namespace));
  }

  /** Throws Unimplemented where the other process has nothing to clean up. */
  async cleanUp(signal?: AbortSignal): Promise<void> {
    await this.#client.cleanup({ snapshotter: this.name }, { signal, deadline: deadline() });
  }

  close(): void {
    this.#channel.close();
  }

  #nameOf(generation: string | undefined): string {
    return generation === undefined ? '' : this.directories.get(generation).name;
  }

  /** The committed snapshot that the other process has for a label. */
  async #takeFound(
    { generation, namespace }: NewLayer,
    target: string,
    parent: string,
    options: CallOptions,
  ): Promise<Made> {
    const found = await this.#find(target, parent, options);
    // Another layer may have been it, and be on its way out.
    return this.directories.exclusively(found.name, async () => {
      if (!(await this.#isCommitted(found, options))) throw this.#noTarget(target);
      this.directories.set(generation, { namespace, name: found.name });
      return { kind: 'found', labels: found.labels };
    });
  }

  async #find(target: string, parent: string, options: CallOptions): Promise<Info> {
    const filters = [`labels."containerd.io/snapshot.ref"==${target},parent==${JSON.stringify(parent)}`];
    for await (const { info } of this.#client.list({ snapshotter: this.name, filters }, options)) {
      // It may not have looked at the filter.
      const found = info.find((one) => isWanted(one, target, parent));
      if (found) return found;
    }
    throw this.#noTarget(target);
  }

  #noTarget(target: string): Error {
    return unavailable(
      `snapshotter ${JSON.stringify(this.name)}: target snapshot ${JSON.stringify(target)} is gone`,
    );
  }

  async #isCommitted({ name }: Pick<Backed, 'name'>, options: CallOptions): Promise<boolean> {
    try {
      const { info } = await this.#client.stat({ snapshotter: this.name, key: name }, options);
      return info?.kind === Kind.COMMITTED;
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
  }

  #says(error: unknown): string {
    return `snapshotter ${JSON.stringify(this.name)}: ${messageOf(error)}`;
  }
}

function isWanted({ kind, labels, parent }: Info, target: string, wantedParent: string): boolean {
  return kind === Kind.COMMITTED && snapshotRef(labels) === target && parent === wantedParent;
}

/** As containerd names them; the number is never used twice on this node. */
function nameOf(namespace: string, generation: string, key: string): string {
  return `${namespace}/${BigInt(`0x${generation}`)}/${key.slice(0, MAX_KEY_LENGTH)}`;
}

function optionsOf(namespace: string, signal?: AbortSignal): CallOptions {
  return { headers: { [Header.Namespace]: namespace }, signal, deadline: deadline() };
}

function deadline(): Date {
  return new Date(Date.now() + TIMEOUT_MS);
}
