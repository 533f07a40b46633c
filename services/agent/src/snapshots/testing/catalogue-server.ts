import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { alreadyExists, failedPrecondition, notFound } from '@longshore/errors';
import { type Call, createLogger, createMetrics, GrpcServer, type Handlers } from '@longshore/kit';
import { SnapshotRemoveSchema } from '@longshore/proto/containerd/events/snapshot';
import {
  CatalogueService,
  Kind,
  type Snapshot,
  SnapshotSchema,
} from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { Channel, createClient } from '@longshore/rpc';
import { onTestFinished } from 'vitest';
import type { CatalogueClient } from '../catalogue-call.ts';
import { scratchDirectory } from './scratch-directory.ts';

type Method = keyof Handlers<typeof CatalogueService>;

/**
 * The catalogue of one node, kept in memory and reached by real gRPC, with the rules that matter to directories, and
 * with faults on demand.
 */
export class CatalogueServer {
  readonly snapshots = new Map<string, Snapshot>();
  readonly tombstones = new Map<string, string>();
  /** Methods of the calls so far. */
  readonly calls: Method[] = [];
  /** Fails the next call of a method, before or after it has done its work. */
  readonly faults = new Map<Method, { when: 'before' | 'after'; error: Error }>();
  readonly client: CatalogueClient;
  #revision = 0n;

  private constructor(client: CatalogueClient) {
    this.client = client;
  }

  /** Ends with the test. */
  static async start(): Promise<CatalogueServer> {
    const address = `unix://${join(await scratchDirectory(), 'catalogue.sock')}`;
    const channel = new Channel(address);
    const catalogue = new CatalogueServer(createClient(CatalogueService, channel));
    const server = new GrpcServer(createLogger('snapshot', 'silent'), createMetrics('snapshot'));
    server.add(CatalogueService, catalogue.#handlers());
    await server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
    onTestFinished(async () => {
      channel.close();
      await server.close(1_000);
    });
    return catalogue;
  }

  /** Records a snapshot by itself, as another caller would. */
  add(name: string, generation: string, parent = '', kind = Kind.COMMITTED): void {
    const now = timestampNow();
    this.snapshots.set(
      name,
      create(SnapshotSchema, {
        uid: randomUUID(),
        generation,
        name,
        parent,
        kind,
        snapshotter: 'overlayfs',
        createdAt: now,
        updatedAt: now,
        revision: ++this.#revision,
      }),
    );
  }

  /** Removes a record by itself, as the collector would. */
  bury(name: string): Snapshot {
    const snapshot = this.#get(name);
    this.snapshots.delete(name);
    this.tombstones.set(snapshot.generation, snapshot.snapshotter);
    return snapshot;
  }

  #handlers(): Handlers<typeof CatalogueService> {
    return {
      prepare: (request, call) =>
        this.#do('prepare', () => {
          const target = request.labels['containerd.io/snapshot.ref'] ?? '';
          if (this.snapshots.has(target)) throw alreadyExists(`target snapshot ${JSON.stringify(target)}`);
          if (this.snapshots.has(request.key)) throw alreadyExists(`snapshot ${JSON.stringify(request.key)}`);
          if (request.parent !== '' && !this.snapshots.has(request.parent)) {
            throw notFound(`parent snapshot ${request.parent} does not exist`);
          }
          this.add(request.key, request.generation, request.parent, request.kind);
          this.#get(request.key).labels = request.labels;
          this.#tell(call, request.key);
          return { snapshot: this.#mountable(request.key) };
        }),
      commit: (request, call) =>
        this.#do('commit', () => {
          const { generation, parent } = this.#get(request.key);
          this.snapshots.delete(request.key);
          if (request.parent !== '') this.#get(request.parent);
          this.add(request.name, generation, parent || request.parent);
          Object.assign(this.#get(request.name), { size: request.size, inodes: request.inodes });
          this.#tell(call, request.name);
          this.#tell(call, request.key);
          return { snapshot: this.#mountable(request.name) };
        }),
      remove: (request, call) =>
        this.#do('remove', () => {
          const hasChild = [...this.snapshots.values()].some((one) => one.parent === request.key);
          if (hasChild) throw failedPrecondition('cannot remove snapshot with child');
          this.#report(call, request.key);
          const buried = this.bury(request.key);
          this.#tell(call, request.key);
          return { snapshot: buried };
        }),
      get: (request) => this.#do('get', () => ({ snapshot: this.#mountable(request.key) })),
      update: (request, call) =>
        this.#do('update', () => {
          Object.assign(this.#get(request.key), { labels: request.labels, revision: ++this.#revision });
          this.#tell(call, request.key);
          return { snapshot: this.#mountable(request.key) };
        }),
      list: async function* (this: CatalogueServer) {
        yield { snapshots: [...this.snapshots.values()] };
      }.bind(this),
      listTombstones: () =>
        this.#do('listTombstones', () => ({
          tombstones: [...this.tombstones].map(([generation, snapshotter]) => ({ generation, snapshotter })),
        })),
      confirmTombstones: ({ generations }) =>
        this.#do('confirmTombstones', () => {
          for (const generation of generations) this.tombstones.delete(generation);
          return {};
        }),
      listGenerations: async function* (this: CatalogueServer) {
        const live = [...this.snapshots.values()].map((one) => one.generation);
        yield { generations: [...live, ...this.tombstones.keys()] };
      }.bind(this),
    };
  }

  async #do<T>(method: Method, work: () => T): Promise<T> {
    this.calls.push(method);
    const fault = this.faults.get(method);
    this.faults.delete(method);
    if (fault?.when === 'before') throw fault.error;
    const answer = work();
    if (fault) throw fault.error;
    return answer;
  }

  #get(name: string): Snapshot {
    const snapshot = this.snapshots.get(name);
    if (!snapshot) throw notFound(`snapshot ${name} does not exist`);
    return snapshot;
  }

  #mountable(name: string): Snapshot {
    const snapshot = this.#get(name);
    const ancestors: string[] = [];
    for (let { parent } = snapshot; parent !== ''; parent = this.#get(parent).parent) {
      ancestors.push(this.#get(parent).generation);
    }
    return { ...snapshot, ancestorGenerations: ancestors };
  }

  /** Reports the record of a name as it is now. */
  #tell(call: Call, name: string): void {
    const snapshot = this.snapshots.get(name);
    call.reportRecord({
      kind: 'snapshot',
      namespace: call.namespace,
      key: `overlayfs/${name}`,
      revision: snapshot?.revision ?? ++this.#revision,
      deleted: !snapshot,
      value: snapshot ? toBinary(SnapshotSchema, snapshot) : new Uint8Array(),
      deleting: false,
    });
  }

  #report(call: Call, key: string): void {
    call.reportEvent({
      namespace: call.namespace,
      topic: '/snapshot/remove',
      typeUrl: SnapshotRemoveSchema.typeName,
      payload: toBinary(SnapshotRemoveSchema, create(SnapshotRemoveSchema, { key })),
    });
  }
}
