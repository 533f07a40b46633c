import { randomUUID } from 'node:crypto';
import { type ErrorKind, isKind } from '@longshore/errors';
import { WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Kind } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { waitUntil } from '../../harness/wait-until.ts';
import type { TestBlob } from './blobs.ts';
import type { History } from './history.ts';
import { Holds } from './holds.ts';
import type { Random } from './random.ts';
import type { OpenIngest } from './scope-state.ts';
import { headersOf, type Scope, type World } from './world.ts';

const SNAPSHOTTER = 'overlayfs';
const EXPIRED = '2001-01-01T00:00:00Z';
const LATER = '2999-01-01T00:00:00Z';
/** How long calls are tried again while services are being killed. */
const OUTAGE_MS = 60_000;
const OVER = Symbol('over');

export interface ClientParts {
  name: string;
  world: World;
  scope: Scope;
  random: Random;
  history: History;
  /** Also written by others, and never deleted by name. */
  shared: readonly TestBlob[];
  /** Written by this client alone. */
  own: readonly TestBlob[];
  /** Whether services are killed meanwhile: calls that were cut are made again. */
  isRough: boolean;
}

/** Something that this client was entitled to find is not there, or is wrong. */
export class Violation extends Error {
  readonly about: readonly string[];

  constructor(message: string, about: readonly string[]) {
    super(message);
    this.name = 'Violation';
    this.about = about;
  }
}

/** Does what clients of containerd do, at random, and looks at what it is entitled to find. */
export class RandomClient {
  readonly #parts: ClientParts;
  readonly #holds = new Holds();
  readonly #snapshots = new Map<string, 'active' | 'committed'>();
  readonly #parents = new Map<string, string>();
  readonly #leases = new Map<string, 'kept' | 'expired'>();
  readonly #images = new Set<string>();
  readonly #containers = new Set<string>();
  readonly #ingests = new Map<string, string>();
  #count = 0;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  async step(): Promise<void> {
    const { random } = this.#parts;
    const total = STEPS.reduce<number>((sum, [weight]) => sum + weight, 0);
    let left = random.whole(total);
    for (const [weight, name] of STEPS) {
      left -= weight;
      if (left < 0) return this[name]();
    }
  }

  /** Its ingests: whether one stays by itself, and what it may refer to, as one does that links a stored blob. */
  get ingests(): OpenIngest[] {
    return this.#blobs().map((blob) => {
      const ref = this.#refOf(blob);
      return { name: `ingest ${ref}`, target: contentOf(blob), isKept: this.#ingests.get(ref) === '' };
    });
  }

  get scope(): Scope {
    return this.#parts.scope;
  }

  /** Looks at everything that it is entitled to find. */
  async checkAll(): Promise<void> {
    for (const record of this.#holds.certain) await this.#check(record);
  }

  async createLease(): Promise<void> {
    const { random } = this.#parts;
    if (this.#leases.size >= 3) return this.deleteLease();
    const id = this.#newName('lease');
    const flat = random.chance(0.2);
    const expired = random.chance(0.1);
    const labels: Record<string, string> = {
      ...(flat && { 'containerd.io/gc.flat': 'true' }),
      ...((expired || random.chance(0.3)) && { 'containerd.io/gc.expire': expired ? EXPIRED : LATER }),
    };
    await this.#do(
      `create ${flat ? 'flat ' : ''}${expired ? 'expired ' : ''}lease`,
      [`lease ${id}`],
      ['AlreadyExists'],
      () => this.#world.leases.create({ id, labels }, this.#headers()),
    );
    this.#leases.set(id, expired ? 'expired' : 'kept');
    if (!expired) this.#holds.hold(`lease ${id}`, { flat });
  }

  async deleteLease(): Promise<void> {
    const { random } = this.#parts;
    const id = random.pick(this.#leases.keys());
    if (id === undefined) return;
    this.#leases.delete(id);
    this.#holds.drop(`lease ${id}`);
    for (const [ref, lease] of this.#ingests) if (lease === id) this.#ingests.delete(ref);
    const sync = random.chance(0.3);
    await this.#do(`delete ${sync ? 'and collect ' : ''}lease`, [`lease ${id}`], ['NotFound'], () =>
      this.#world.leases.delete({ id, sync }, this.#headers()),
    );
  }

  async dropResource(): Promise<void> {
    const lease = this.#keptLease();
    const blob = this.#anyBlob();
    if (lease === undefined) return;
    this.#holds.drop(`lease ${lease}`, contentOf(blob));
    await this.#do('delete resource', [`lease ${lease}`, contentOf(blob)], [], () =>
      this.#world.leases.deleteResource(
        { id: lease, resource: { type: 'content', id: blob.digest } },
        this.#headers(),
      ),
    );
  }

  /** Of something that is held already, so that it is sure to be there. */
  async addResource(): Promise<void> {
    const { random } = this.#parts;
    const lease = this.#keptLease();
    const record = random.pick([...this.#holds.certain].filter((each) => !each.startsWith('image ')));
    if (lease === undefined || record === undefined) return;
    const [kind, key] = split(record);
    const type = kind === 'content' ? 'content' : `snapshots/${SNAPSHOTTER}`;
    await this.#do('add resource', [`lease ${lease}`, record], [], () =>
      this.#world.leases.addResource({ id: lease, resource: { type, id: key } }, this.#headers()),
    );
    this.#holds.add(`lease ${lease}`, record);
  }

  async writeBlob(blob = this.#anyBlob()): Promise<void> {
    const { random } = this.#parts;
    const lease = random.chance(0.9) ? this.#keptLease() : undefined;
    const ref = this.#refOf(blob);
    const isGivenUp = random.chance(0.1);
    const outcome = await this.#do(
      `write${lease === undefined ? '' : ` on lease ${lease}`}${isGivenUp ? ', giving up' : ''}`,
      [contentOf(blob), `ingest ${ref}`],
      ['AlreadyExists'],
      () => this.#write(blob, ref, lease, isGivenUp),
    );
    if (isGivenUp && outcome === 'done') {
      // Once without a lease, it stays for a day.
      if (this.#ingests.get(ref) !== '') this.#ingests.set(ref, lease ?? '');
      return;
    }
    // What was refused because the blob is there leaves an older ingest as it was, or has ended it.
    if (outcome === 'done' || this.#ingests.get(ref) !== '') this.#ingests.delete(ref);
    // What refers to it may have been changed before it was removed and written again.
    for (const child of blob.children) this.#holds.refer(contentOf(blob), contentOf(child), 'label');
    if (lease !== undefined) this.#holds.add(`lease ${lease}`, contentOf(blob));
  }

  async writeTree(): Promise<void> {
    const lease = this.#keptLease();
    if (lease === undefined) return this.createLease();
    const top = this.#anyBlob();
    const all = [...new Set([top, ...top.children, ...top.children.flatMap(({ children }) => children)])];
    for (const blob of this.#parts.random.chance(0.5) ? all : all.reverse()) await this.writeBlob(blob);
  }

  async abort(): Promise<void> {
    const ref = this.#parts.random.pick(this.#ingests.keys());
    if (ref === undefined) return;
    this.#ingests.delete(ref);
    await this.#do('abort', [`ingest ${ref}`], ['NotFound'], () =>
      this.#world.content.abort({ ref }, this.#headers()),
    );
  }

  async deleteContent(): Promise<void> {
    const blob = this.#parts.random.pick(this.#parts.own)!;
    this.#holds.forget(contentOf(blob));
    await this.#do('delete', [contentOf(blob)], ['NotFound'], () =>
      this.#world.content.delete({ digest: blob.digest }, this.#headers()),
    );
  }

  /** Content of its own refers to one of its snapshots, as an unpacked image's config does. */
  async labelContent(): Promise<void> {
    const { random } = this.#parts;
    const certain = this.#parts.own.filter((each) => this.#holds.certain.has(contentOf(each)));
    const [blob, snapshot] = [random.pick(certain), this.#certainSnapshot()];
    if (!blob || snapshot === undefined) return;
    const label = `containerd.io/gc.ref.snapshot.${SNAPSHOTTER}/${snapshot}`;
    await this.#do('label', [contentOf(blob), `snapshot ${snapshot}`], [], () =>
      this.#world.content.update(
        {
          info: { digest: blob.digest, labels: { [label]: snapshot } },
          updateMask: { paths: [`labels.${label}`] },
        },
        this.#headers(),
      ),
    );
    this.#holds.refer(contentOf(blob), `snapshot ${snapshot}`, 'label');
  }

  async putImage(): Promise<void> {
    const { random, name } = this.#parts;
    const blob = random.pick(this.#blobs().filter((each) => this.#holds.certain.has(contentOf(each))));
    if (!blob) return this.writeTree();
    const image = `${name}/image:${random.whole(3)}`;
    const isThere = this.#images.has(image);
    const target = {
      mediaType: 'application/octet-stream',
      digest: blob.digest,
      size: BigInt(blob.data.length),
    };
    // The old target is given up before the new one is referred to: what they share must be held by something else.
    if (isThere) this.#holds.drop(`image ${image}`);
    const request = { image: { name: image, target } };
    await this.#do(
      isThere ? 'update image' : 'create image',
      [`image ${image}`, contentOf(blob)],
      ['AlreadyExists'],
      () =>
        isThere
          ? this.#world.images.update(request, this.#headers())
          : this.#world.images.create(request, this.#headers()),
    );
    this.#images.add(image);
    this.#holds.hold(`image ${image}`);
    if (this.#holds.certain.has(contentOf(blob))) this.#holds.add(`image ${image}`, contentOf(blob));
  }

  async deleteImage(): Promise<void> {
    const { random } = this.#parts;
    const image = random.pick(this.#images);
    if (image === undefined) return;
    this.#images.delete(image);
    this.#holds.drop(`image ${image}`);
    const sync = random.chance(0.3);
    await this.#do(`delete ${sync ? 'and collect ' : ''}image`, [`image ${image}`], ['NotFound'], () =>
      this.#world.images.delete({ name: image, sync }, this.#headers()),
    );
  }

  async prepare(): Promise<void> {
    const { random } = this.#parts;
    const lease = random.chance(0.9) ? this.#keptLease() : undefined;
    const key = this.#newName('snapshot');
    const parent = random.chance(0.6) ? this.#certainSnapshot('committed') : undefined;
    await this.#do(
      `prepare on ${parent ?? 'nothing'}${lease === undefined ? '' : `, lease ${lease}`}`,
      [`snapshot ${key}`],
      ['AlreadyExists'],
      () =>
        this.#world.snapshots.prepare(
          {
            snapshotter: SNAPSHOTTER,
            key,
            parent: parent ?? '',
            kind: Kind.ACTIVE,
            generation: randomUUID(),
          },
          headersOf(this.#parts.scope, lease),
        ),
    );
    this.#snapshots.set(key, 'active');
    if (parent !== undefined) {
      this.#parents.set(key, parent);
      this.#holds.refer(`snapshot ${key}`, `snapshot ${parent}`, 'field');
    }
    if (lease !== undefined) this.#holds.add(`lease ${lease}`, `snapshot ${key}`);
  }

  async commit(): Promise<void> {
    const lease = this.#keptLease();
    const key = this.#certainSnapshot('active');
    if (lease === undefined || key === undefined) return this.prepare();
    const name = this.#newName('committed');
    // The lease keeps the name before, and not the key any more; other holders of the key hold nothing.
    this.#snapshots.delete(key);
    this.#holds.aim(`lease ${lease}`, `snapshot ${name}`);
    const parent = this.#parents.get(key);
    this.#parents.delete(key);
    this.#holds.forget(`snapshot ${key}`);
    const outcome = await this.#do(
      `commit as ${name} on lease ${lease}`,
      [`snapshot ${key}`, `snapshot ${name}`],
      ['AlreadyExists', 'NotFound'],
      () =>
        this.#world.snapshots.commit(
          { snapshotter: SNAPSHOTTER, name, key, size: 1n, inodes: 1n },
          headersOf(this.#parts.scope, lease),
        ),
    );
    if (outcome === 'NotFound' && !this.#parts.isRough) {
      throw new Violation(`snapshot ${key} was not there to be committed`, [
        `snapshot ${key}`,
        `lease ${lease}`,
      ]);
    }
    this.#snapshots.set(name, 'committed');
    if (parent !== undefined) this.#parents.set(name, parent);
    // The parents cannot have gone meanwhile: each has a child.
    for (
      let child = name, above = parent;
      above !== undefined;
      child = above, above = this.#parents.get(above)
    ) {
      this.#holds.refer(`snapshot ${child}`, `snapshot ${above}`, 'field');
      this.#holds.see(`snapshot ${above}`);
    }
    this.#holds.add(`lease ${lease}`, `snapshot ${name}`);
  }

  async removeSnapshot(): Promise<void> {
    const name = this.#parts.random.pick(this.#snapshots.keys());
    if (name === undefined || [...this.#parents.values()].includes(name)) return;
    this.#snapshots.delete(name);
    this.#parents.delete(name);
    this.#holds.forget(`snapshot ${name}`);
    await this.#do('remove', [`snapshot ${name}`], ['NotFound'], () =>
      this.#world.snapshots.remove({ snapshotter: SNAPSHOTTER, key: name }, this.#headers()),
    );
  }

  async createContainer(): Promise<void> {
    const snapshotKey = this.#certainSnapshot('active');
    if (snapshotKey === undefined || this.#containers.size >= 2) return this.deleteContainer();
    const id = this.#newName('container');
    const container = {
      id,
      runtime: { name: 'io.containerd.runc.v2' },
      spec: { typeUrl: 'none', value: new Uint8Array() },
      snapshotter: SNAPSHOTTER,
      snapshotKey,
    };
    await this.#do(
      'create container',
      [`container ${id}`, `snapshot ${snapshotKey}`],
      ['AlreadyExists'],
      () => this.#world.containers.create({ container }, this.#headers()),
    );
    this.#containers.add(id);
    this.#holds.hold(`container ${id}`);
    this.#holds.add(`container ${id}`, `snapshot ${snapshotKey}`);
  }

  async deleteContainer(): Promise<void> {
    const id = this.#parts.random.pick(this.#containers);
    if (id === undefined) return;
    this.#containers.delete(id);
    this.#holds.drop(`container ${id}`);
    await this.#do('delete container', [`container ${id}`], ['NotFound'], () =>
      this.#world.containers.delete({ id }, this.#headers()),
    );
  }

  async collect(): Promise<void> {
    const wait = this.#parts.random.chance(0.5);
    await this.#do(wait ? 'collect' : 'ask for a collection', [], [], () =>
      this.#world.collector.collect({ wait }, this.#headers()),
    );
  }

  async touchNamespace(): Promise<void> {
    const { namespace } = this.#parts.scope;
    const labels = { [`by-${this.#parts.name}`]: String(this.#count++) };
    await this.#do('label namespace', [`namespace ${namespace}`], [], () =>
      this.#world.namespaces.update(
        {
          namespace: { name: namespace, labels },
          updateMask: { paths: Object.keys(labels).map((key) => `labels.${key}`) },
        },
        this.#headers(),
      ),
    );
  }

  async deleteNamespace(): Promise<void> {
    if (this.#holds.certain.size === 0) return;
    const { namespace } = this.#parts.scope;
    const outcome = await this.#do(
      'delete namespace',
      [`namespace ${namespace}`],
      ['FailedPrecondition'],
      () => this.#world.namespaces.delete({ name: namespace }, this.#headers()),
    );
    if (outcome === 'done')
      throw new Violation(`namespace ${namespace} was deleted with what it has`, [...this.#holds.certain]);
  }

  async check(): Promise<void> {
    const record = this.#parts.random.pick(this.#holds.certain);
    if (record !== undefined) await this.#check(record);
  }

  async #check(record: string): Promise<void> {
    const [kind, key] = split(record);
    const outcome = await this.#do('look at', [record], ['NotFound'], () =>
      kind === 'content'
        ? this.#read(key)
        : this.#world.snapshots.get({ snapshotter: SNAPSHOTTER, key }, this.#headers()),
    );
    if (outcome === 'NotFound') throw new Violation(`${record} is missing`, [record]);
  }

  async #read(digest: string): Promise<void> {
    const blob = this.#blobs().find((each) => each.digest === digest)!;
    const chunks = [];
    for await (const { data } of this.#world.content.read({ digest }, this.#headers())) chunks.push(data);
    if (!Buffer.concat(chunks).equals(blob.data))
      throw new Violation(`${contentOf(blob)} has other bytes`, [contentOf(blob)]);
  }

  async #write(blob: TestBlob, ref: string, lease: string | undefined, isGivenUp: boolean): Promise<void> {
    const { data, digest: expected, labels } = blob;
    const total = BigInt(data.length);
    const { promise: opened, resolve: open } = Promise.withResolvers<number | typeof OVER>();
    const cut = 1 + this.#parts.random.whole(data.length - 1);
    async function* requests() {
      yield { action: WriteAction.STAT, ref, total, expected };
      const offset = await opened;
      if (offset === OVER) return;
      if (offset < cut)
        yield { action: WriteAction.WRITE, offset: BigInt(offset), data: data.subarray(offset, cut) };
      if (isGivenUp) return;
      const rest = Math.max(offset, cut);
      if (rest < data.length)
        yield { action: WriteAction.WRITE, offset: BigInt(rest), data: data.subarray(rest) };
      yield { action: WriteAction.COMMIT, offset: total, total, expected, labels };
    }
    try {
      const answers = this.#world.content.write(requests(), headersOf(this.#parts.scope, lease));
      for await (const { action, offset } of answers) if (action === WriteAction.STAT) open(Number(offset));
    } finally {
      open(OVER);
    }
  }

  /** Answers 'done', or the kind of a failure that was to be expected. */
  #do(what: string, about: string[], expected: ErrorKind[], work: () => Promise<unknown>): Promise<string> {
    const { history, name, scope, isRough } = this.#parts;
    return history.record(`${name} in ${scope.namespace} on ${scope.node}`, what, about, async () => {
      let outcome: string | undefined;
      let last: unknown;
      const attempt = async () => {
        try {
          await work();
          outcome = 'done';
        } catch (error) {
          last = error;
          outcome = expected.find((kind) => isKind(error, kind));
          // containerd's client tries again too while a ref is locked: a writer lets go of it after its call has ended.
          const isLocked = isKind(error, 'Unavailable') && String(error).includes('locked by another writer');
          const isOutage = isLocked || (isRough && isKind(error, 'Unavailable', 'Canceled', 'Unknown'));
          if (outcome === undefined && !isOutage) throw unexpected(what, about, error);
        }
        return outcome !== undefined;
      };
      if (!(await waitUntil(attempt, OUTAGE_MS))) throw unexpected(what, about, last);
      return outcome!;
    });
  }

  get #world(): World {
    return this.#parts.world;
  }

  #headers() {
    return headersOf(this.#parts.scope);
  }

  #refOf(blob: TestBlob): string {
    return `${this.#parts.name}-${blob.name}`;
  }

  #newName(what: string): string {
    return `${this.#parts.name}-${what}-${this.#count++}`;
  }

  #blobs(): TestBlob[] {
    return [...this.#parts.shared, ...this.#parts.own];
  }

  #anyBlob(): TestBlob {
    return this.#parts.random.pick(this.#blobs())!;
  }

  #keptLease(): string | undefined {
    return this.#parts.random.pick([...this.#leases].flatMap(([id, state]) => (state === 'kept' ? id : [])));
  }

  #certainSnapshot(kind?: 'active' | 'committed'): string | undefined {
    const certain = [...this.#snapshots].filter(
      ([name, state]) =>
        this.#holds.certain.has(`snapshot ${name}`) && (kind === undefined || kind === state),
    );
    return this.#parts.random.pick(certain)?.[0];
  }
}

const STEPS = [
  [6, 'createLease'],
  [4, 'deleteLease'],
  [3, 'dropResource'],
  [3, 'addResource'],
  [14, 'writeBlob'],
  [6, 'writeTree'],
  [2, 'abort'],
  [3, 'deleteContent'],
  [4, 'labelContent'],
  [8, 'putImage'],
  [5, 'deleteImage'],
  [8, 'prepare'],
  [8, 'commit'],
  [4, 'removeSnapshot'],
  [4, 'createContainer'],
  [2, 'deleteContainer'],
  [8, 'collect'],
  [1, 'touchNamespace'],
  [1, 'deleteNamespace'],
  [14, 'check'],
] as const;

function contentOf({ digest }: TestBlob): string {
  return `content ${digest}`;
}

function split(record: string): [kind: string, key: string] {
  const at = record.indexOf(' ');
  return [record.slice(0, at), record.slice(at + 1)];
}

function unexpected(what: string, about: readonly string[], error: unknown): Violation {
  if (error instanceof Violation) return error;
  return new Violation(`${what} ${about.join(' ')}: ${error}`, about);
}
