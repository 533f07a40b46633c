import { kindOf } from '@longshore/errors';
import { digestOf } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Diff } from '@longshore/proto/containerd/services/diff/v1/diff';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Namespaces } from '@longshore/proto/containerd/services/namespaces/v1/namespace';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { type Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { expect } from 'vitest';

const { COMMIT, STAT } = WriteAction;

type WriteRequest =
  Parameters<ServiceClient<typeof Content>['write']>[0] extends AsyncIterable<infer R> ? R : never;

/** What is done on both sides, and answers what is to be the same. */
export type Cases = Record<string, (side: Side) => Promise<unknown>>;

/** One side, in a namespace of the case's own. */
export class Side {
  readonly content: ServiceClient<typeof Content>;
  readonly leases: ServiceClient<typeof Leases>;
  readonly namespaces: ServiceClient<typeof Namespaces>;
  readonly snapshots: ServiceClient<typeof Snapshots>;
  readonly diff: ServiceClient<typeof Diff>;
  readonly options: { headers: Record<string, string> };

  constructor(channel: Channel, namespace: string, headers: Record<string, string> = {}) {
    this.content = createClient(Content, channel);
    this.leases = createClient(Leases, channel);
    this.namespaces = createClient(Namespaces, channel);
    this.snapshots = createClient(Snapshots, channel);
    this.diff = createClient(Diff, channel);
    this.options = { headers: { ...(namespace !== '' && { [Header.Namespace]: namespace }), ...headers } };
  }

  /** Each request waits for the answer to the one before. Answers what was heard, and how it ended. */
  async write(...requests: WriteRequest[]): Promise<unknown[]> {
    const heard: unknown[] = [];
    let answered = Promise.withResolvers<void>();
    async function* send() {
      for (const request of requests) {
        yield request;
        await answered.promise;
        answered = Promise.withResolvers<void>();
      }
    }
    try {
      for await (const { action, offset, total, digest, startedAt } of this.content.write(
        send(),
        this.options,
      )) {
        // What else there is in other answers is left over from the last of this kind.
        const stat = action === STAT && { total, hasTimes: (startedAt?.seconds ?? 0n) > 0n };
        heard.push({ action, offset, digest, ...stat });
        answered.resolve();
      }
    } catch (error) {
      heard.push(kindOf(error));
    }
    return heard;
  }

  async put(text: string, labels: Record<string, string> = {}): Promise<string> {
    const heard = await this.write({ ref: `put-${text}`, action: COMMIT, data: Buffer.from(text), labels });
    expect(heard).toHaveLength(2);
    return digestOf(text);
  }

  async read(digest: string, offset = 0n, size = 0n): Promise<unknown> {
    const messages = await Array.fromAsync(this.content.read({ digest, offset, size }, this.options));
    return messages.map((message) => [message.offset, Buffer.from(message.data).toString()]);
  }

  async labels(digest: string): Promise<unknown> {
    return (await this.content.info({ digest }, this.options)).info?.labels;
  }

  async update(digest: string, labels: Record<string, string>, ...paths: string[]): Promise<unknown> {
    const { info } = await this.content.update(
      { info: { digest, labels }, updateMask: { paths } },
      this.options,
    );
    return info?.labels;
  }

  async list(...filters: string[]): Promise<unknown> {
    const blocks = await Array.fromAsync(this.content.list({ filters }, this.options));
    return blocks.flatMap(({ info }) => info.map(({ digest, size, labels }) => ({ digest, size, labels })));
  }

  async statuses(...filters: string[]): Promise<unknown> {
    const { statuses } = await this.content.listStatuses({ filters }, this.options);
    return statuses
      .map(({ ref, offset, total, expected }) => ({ ref, offset, total, expected }))
      .sort((a, b) => (a.ref < b.ref ? -1 : 1));
  }

  /** The same socket, in another namespace. */
  as!: (namespace: string, headers?: Record<string, string>) => Side;
}

/** A label against collections, of which there is one soon after a start. */
export const KEPT = { 'containerd.io/gc.root': 'yes' };
export const bytes = (text: string) => Buffer.from(text);
/** A value that is no error is answered as it is. */
export const outcome = (work: Promise<unknown>) => work.catch((error) => kindOf(error));
