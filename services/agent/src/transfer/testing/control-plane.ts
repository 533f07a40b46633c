import { join } from 'node:path';
import { alreadyExists, failedPrecondition, notFound } from '@longshore/errors';
import { type Call, createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { digestOf } from '@longshore/oci';
import { Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import {
  AcquireResponse_Result,
  BlobService,
  ClaimService,
} from '@longshore/proto/longshore/content/v1/blobs';
import { Channel, createClient } from '@longshore/rpc';
import { onTestFinished } from 'vitest';
import { scratchDirectory } from '../../snapshots/testing/scratch-directory.ts';

/**
 * What an agent's transfers ask of the content and image services, over real gRPC and kept in memory, with the calls
 * counted. It has no files and no URLs, as on another host.
 */
export class ControlPlane {
  readonly blobs = new Map<string, Buffer>();
  /** Labels by digest, of the one scope that it knows. */
  readonly contents = new Map<string, Record<string, string>>();
  readonly ingests = new Map<string, Buffer>();
  readonly claims = new Map<string, string>();
  readonly leases = new Set<string>();
  /** Target digests by name. */
  readonly images = new Map<string, string>();
  /** `<method> <namespace> <node> <lease or ->`, in order. */
  readonly calls: string[] = [];
  readonly channel: Channel;

  private constructor(channel: Channel) {
    this.channel = channel;
  }

  static async start(): Promise<ControlPlane> {
    const address = `unix://${join(await scratchDirectory(), 'control.sock')}`;
    const channel = new Channel(address);
    const plane = new ControlPlane(channel);
    const server = new GrpcServer(createLogger('content', 'silent'), createMetrics('content'));
    plane.#serve(server);
    await server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
    onTestFinished(async () => {
      channel.close();
      await server.close(1_000);
    });
    return plane;
  }

  get clients() {
    return {
      content: createClient(Content, this.channel),
      blobService: createClient(BlobService, this.channel),
      claims: createClient(ClaimService, this.channel),
      leases: createClient(Leases, this.channel),
      images: createClient(Images, this.channel),
    };
  }

  count(method: string): number {
    return this.calls.filter((call) => call.startsWith(`${method} `)).length;
  }

  #note(call: Call): void {
    const method = call.method.slice(call.method.lastIndexOf('/') + 1);
    this.calls.push(`${method} ${call.namespace} ${call.node} ${call.lease ? 'leased' : '-'}`);
  }

  #serve(server: GrpcServer): void {
    const note = this.#note.bind(this);
    const plane = this;
    server.add(BlobService, {
      async locate({ digest }, call) {
        note(call);
        return { size: BigInt(plane.#held(digest).length), place: {} };
      },
      async link({ blobs }, call) {
        note(call);
        return { blobs: blobs.map(({ digest, labels }) => plane.#link(digest, labels)) };
      },
    });
    server.add(ClaimService, {
      async acquire({ digest, holder }, call) {
        note(call);
        if (plane.blobs.has(digest)) return { result: AcquireResponse_Result.STORED };
        const current = plane.claims.get(digest) ?? holder;
        plane.claims.set(digest, current);
        return { result: current === holder ? AcquireResponse_Result.HELD : AcquireResponse_Result.BUSY };
      },
      async release({ digest }, call) {
        note(call);
        plane.claims.delete(digest);
        return {};
      },
    });
    server.add(Content, {
      async *read({ digest, offset }, call) {
        note(call);
        yield { data: plane.#held(digest).subarray(Number(offset)) };
      },
      async abort({ ref }, call) {
        note(call);
        plane.ingests.delete(ref);
        return {};
      },
      async *write(requests, call) {
        note(call);
        let ref = '';
        let expected = '';
        for await (const { action, ref: named, expected: digest, offset, data, labels } of requests) {
          ref ||= named;
          expected ||= digest;
          if (plane.contents.has(expected)) throw alreadyExists(`content ${expected}`);
          const bytes = Buffer.concat([plane.ingests.get(ref) ?? Buffer.alloc(0), data]);
          if (action !== WriteAction.STAT && offset !== BigInt(bytes.length - data.length)) {
            throw failedPrecondition('offset');
          }
          plane.ingests.set(ref, bytes);
          if (action === WriteAction.COMMIT) plane.#commit(ref, expected, labels);
          yield { action, offset: BigInt(bytes.length) };
          if (action === WriteAction.COMMIT) return;
        }
      },
    });
    server.add(Leases, {
      async create({ id }, call) {
        note(call);
        plane.leases.add(id);
        return { lease: { id } };
      },
      async delete({ id }, call) {
        note(call);
        plane.leases.delete(id);
        return {};
      },
    });
    server.add(Images, {
      async create({ image }, call) {
        note(call);
        if (plane.images.has(image!.name)) throw alreadyExists(`image ${image!.name}`);
        plane.images.set(image!.name, image!.target!.digest);
        return { image: image! };
      },
      async update({ image }, call) {
        note(call);
        plane.images.set(image!.name, image!.target!.digest);
        return { image: image! };
      },
    });
  }

  #link(digest: string, labels: Record<string, string>) {
    const bytes = this.blobs.get(digest);
    if (!bytes) return { digest, linked: false };
    this.contents.set(digest, { ...labels, ...this.contents.get(digest) });
    return { digest, linked: true, size: BigInt(bytes.length), place: {} };
  }

  #commit(ref: string, expected: string, labels: Record<string, string>): void {
    const bytes = this.ingests.get(ref)!;
    if (digestOf(bytes) !== expected) throw failedPrecondition('unexpected commit digest');
    this.ingests.delete(ref);
    this.blobs.set(expected, bytes);
    this.contents.set(expected, labels);
  }

  #held(digest: string): Buffer {
    const bytes = this.contents.has(digest) ? this.blobs.get(digest) : undefined;
    if (!bytes) throw notFound(`content ${digest}`);
    return bytes;
  }
}
