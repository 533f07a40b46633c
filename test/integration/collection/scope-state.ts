import { headersOf, type Scope, type World } from './world.ts';

const CONTENT_REF = /^containerd\.io\/gc\.ref\.content(?:[./]|$)/;
const SNAPSHOT_REF = /^containerd\.io\/gc\.ref\.snapshot\.([^/]+)/;
const FLAT = 'containerd.io/gc.flat';
const EXPIRE = 'containerd.io/gc.expire';

export interface OpenIngest {
  readonly name: string;
  /** What it may refer to. */
  readonly target: string;
  /** It stays by itself, not only as long as a lease has it. */
  readonly isKept: boolean;
}

/** Everything that a scope has, as its services tell it, with the references that its records should make. */
export class ScopeState {
  readonly records = new Set<string>();
  readonly #roots: { name: string; flat: boolean }[] = [];
  readonly #edges: { from: string; to: string; byLabel: boolean }[] = [];

  /** `ingests`: what no service tells of them. */
  static async read(world: World, scope: Scope, ingests: readonly OpenIngest[]): Promise<ScopeState> {
    const state = new ScopeState();
    for (const { name, target, isKept } of ingests) {
      if (isKept) state.#roots.push({ name, flat: false });
      state.#edges.push({ from: name, to: target, byLabel: false });
    }
    await Promise.all([
      state.#readContent(world, scope),
      state.#readLeases(world, scope),
      state.#readImages(world, scope),
      state.#readSnapshots(world, scope),
      state.#readContainers(world, scope),
    ]);
    return state;
  }

  /** Records that no root leads to. */
  unreachable(): string[] {
    const whole = new Set<string>();
    const flat = new Set<string>();
    const follow = (into: Set<string>, from: readonly string[], isFlat: boolean) => {
      const waiting = [...from];
      for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
        if (into.has(name)) continue;
        into.add(name);
        for (const edge of this.#edges) {
          if (edge.from === name && !(isFlat && edge.byLabel)) waiting.push(edge.to);
        }
      }
    };
    const roots = (isFlat: boolean) =>
      this.#roots.filter(({ flat: f }) => f === isFlat).map(({ name }) => name);
    follow(whole, roots(false), false);
    follow(flat, roots(true), true);
    return [...this.records].filter((name) => !whole.has(name) && !flat.has(name));
  }

  async #readContent(world: World, scope: Scope): Promise<void> {
    for await (const { info } of world.content.list({}, headersOf(scope))) {
      for (const { digest, labels } of info) this.#add(`content ${digest}`, labels);
    }
    const { statuses } = await world.content.listStatuses({}, headersOf(scope));
    for (const { ref } of statuses) this.records.add(`ingest ${ref}`);
  }

  async #readLeases(world: World, scope: Scope): Promise<void> {
    const { leases } = await world.leases.list({}, headersOf(scope));
    for (const { id, labels } of leases) {
      this.records.add(`lease ${id}`);
      if (new Date(labels[EXPIRE] ?? '2999-01-01') < new Date()) continue;
      const flat = labels[FLAT] !== undefined;
      this.#roots.push({ name: `lease ${id}`, flat: false });
      const { resources } = await world.leases.listResources({ id }, headersOf(scope));
      for (const { type, id: key } of resources) this.#roots.push({ name: `${nameOf(type, key)}`, flat });
    }
  }

  async #readImages(world: World, scope: Scope): Promise<void> {
    const { images } = await world.images.list({}, headersOf(scope));
    for (const { name, target, labels } of images) {
      this.#add(`image ${name}`, labels);
      this.#roots.push({ name: `image ${name}`, flat: false });
      this.#edges.push({ from: `image ${name}`, to: `content ${target?.digest}`, byLabel: false });
    }
  }

  async #readSnapshots(world: World, scope: Scope): Promise<void> {
    for await (const { snapshots } of world.snapshots.list({ snapshotter: 'overlayfs' }, headersOf(scope))) {
      for (const { name, parent, labels } of snapshots) {
        this.#add(`snapshot ${name}`, labels);
        if (parent) this.#edges.push({ from: `snapshot ${name}`, to: `snapshot ${parent}`, byLabel: false });
      }
    }
  }

  async #readContainers(world: World, scope: Scope): Promise<void> {
    const { containers } = await world.containers.list({}, headersOf(scope));
    for (const { id, snapshotKey, labels } of containers) {
      this.#add(`container ${id}`, labels);
      this.#roots.push({ name: `container ${id}`, flat: false });
      if (snapshotKey) {
        this.#edges.push({ from: `container ${id}`, to: `snapshot ${snapshotKey}`, byLabel: false });
      }
    }
  }

  #add(name: string, labels: Record<string, string>): void {
    this.records.add(name);
    for (const [label, value] of Object.entries(labels)) {
      if (CONTENT_REF.test(label)) this.#edges.push({ from: name, to: `content ${value}`, byLabel: true });
      if (SNAPSHOT_REF.test(label)) this.#edges.push({ from: name, to: `snapshot ${value}`, byLabel: true });
    }
  }
}

function nameOf(type: string, key: string): string {
  if (type.startsWith('snapshots/')) return `snapshot ${key}`;
  return `${type === 'ingests' ? 'ingest' : type.replace(/s$/, '')} ${key}`;
}
