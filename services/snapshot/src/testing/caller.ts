import { createRegistry, fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import type { LongshoreError } from '@longshore/errors';
import {
  SnapshotCommitSchema,
  SnapshotPrepareSchema,
  SnapshotRemoveSchema,
} from '@longshore/proto/containerd/events/snapshot';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { Header } from '@longshore/proto/headers';
import { Kind, type Snapshot } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { CallOptions } from '@longshore/rpc';
import { expect } from 'vitest';
import type { ServiceUnderTest } from './snapshot-service.ts';

const EVENTS = createRegistry(SnapshotPrepareSchema, SnapshotCommitSchema, SnapshotRemoveSchema);
export const snapshotter = 'overlayfs';

let counter = 0;

/** A scope that no other test uses. */
function freshScope(): { namespace: string; node: string } {
  counter++;
  return { namespace: `ns${counter}`, node: `node${counter}` };
}

/** Someone who works with the catalogue in a scope of its own. */
export class Caller {
  readonly scope = freshScope();
  readonly #service: ServiceUnderTest;
  /** Of the calls so far: topic and payload. */
  readonly events: unknown[] = [];
  lease = '';

  constructor(service: ServiceUnderTest) {
    this.#service = service;
  }

  get options(): CallOptions {
    return {
      headers: {
        [Header.Namespace]: this.scope.namespace,
        [Header.Node]: this.scope.node,
        ...(this.lease && { [Header.Lease]: this.lease }),
      },
      onTrailers: (trailers) => {
        for (const value of trailers.get(Header.EventBin)) {
          const { topic, namespace, event } = fromBinary(EnvelopeSchema, value as Buffer);
          expect(namespace).toBe(this.scope.namespace);
          const { $typeName: _, $unknown: __, ...payload } = anyUnpack(event!, EVENTS)!;
          this.events.push([topic, payload]);
        }
      },
    };
  }

  prepare(
    key: string,
    parent = '',
    more: { kind?: Kind; labels?: Record<string, string>; generation?: string } = {},
  ) {
    const { kind = Kind.ACTIVE, labels = {}, generation = `g${++counter}` } = more;
    const request = { snapshotter, key, parent, kind, labels, generation };
    return this.#service.catalogue.prepare(request, this.options).then((answer) => answer.snapshot!);
  }

  commit(name: string, key: string, more: { labels?: Record<string, string>; parent?: string } = {}) {
    const request = { snapshotter, name, key, size: 4096n, inodes: 3n, ...more };
    return this.#service.catalogue.commit(request, this.options).then((answer) => answer.snapshot!);
  }

  /** A committed snapshot. */
  async layer(name: string, parent = ''): Promise<Snapshot> {
    await this.prepare(`${name}-key`, parent);
    return this.commit(name, `${name}-key`);
  }

  remove(key: string) {
    return this.#service.catalogue
      .remove({ snapshotter, key }, this.options)
      .then((answer) => answer.snapshot!);
  }

  get(key: string) {
    return this.#service.catalogue.get({ snapshotter, key }, this.options).then((answer) => answer.snapshot!);
  }

  async list(...filters: string[]): Promise<string[]> {
    const names: string[] = [];
    for await (const { snapshots } of this.#service.catalogue.list({ snapshotter, filters }, this.options)) {
      names.push(...snapshots.map((one) => one.name));
    }
    return names;
  }

  async tombstones(): Promise<string[]> {
    const { tombstones } = await this.#service.catalogue.listTombstones({}, this.options);
    return tombstones.map((one) => one.generation);
  }
}

/** Kind and message of what a call was refused with. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: LongshoreError) => reason,
  );
  return error ? `${error.kind}: ${error.message}` : 'no error';
}
