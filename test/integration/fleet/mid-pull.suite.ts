import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Fleet } from '../../harness/fleet.ts';
import { queryFleet } from '../../harness/fleet-query.ts';
import { leftOfPulls } from '../../harness/pull-leftovers.ts';
import type { TestNode } from '../../harness/test-node.ts';
import { transferImage } from '../../harness/transfer.ts';
import { waitUntil } from '../../harness/wait-until.ts';

/** How long a holder may be silent in this fleet before another fetches its blob. */
export const CLAIM_TTL_MS = 8_000;
/** What has come for sure when a pull is held up. */
const BEGUN_BYTES = 1024 * 1024;

/** An image with one layer that takes a while. */
export interface SlowImage {
  reference: string;
  /** All that have to be fetched. */
  blobs: string[];
}

/** A blob that a node fetches. */
interface Ingest {
  node: string;
  uid: string;
  digest: string;
  /** The replica of the content service that takes it. */
  replica: number;
  durableBytes: number;
  totalBytes: number;
}

interface HeldUp {
  holder: { node: TestNode; pull: Promise<void> };
  other: { node: TestNode; pull: Promise<void> };
  /** The holder's, the layer first. */
  fetching: Ingest[];
}

/** What dies in the middle of a pull by `transfer.v1` while another node pulls the same image. */
export function midPullFaults(
  theFleet: () => Fleet,
  freshImage: () => Promise<SlowImage>,
  expectToRun: (node: TestNode, image: SlowImage) => Promise<void>,
): void {
  /** What is fetched from registries, the largest first. */
  function ingests(): Promise<Ingest[]> {
    return queryFleet<Ingest>(
      theFleet(),
      `SELECT node, uid, substring(ref from 'sha256:.*') AS digest, durable_bytes::int AS "durableBytes",
         total::int AS "totalBytes", substring(writer from ' 10\\.77\\.0\\.(\\d+):')::int AS replica
       FROM content.ingests WHERE linked_digest IS NULL ORDER BY total DESC`,
    );
  }

  /** How much of an ingest has come, durable or not. */
  function receivedBytes({ uid }: Ingest): number {
    const directory = join(theFleet().local.layout.blobDir, 'ingests', uid);
    if (!existsSync(directory)) return 0;
    const sizes = readdirSync(directory).map((epoch) => statSync(join(directory, epoch)).size);
    return Math.max(0, ...sizes);
  }

  /** Two nodes pull an image; the agent of the one that fetches the layer for both is stopped in the middle of it. */
  async function holdUp({ reference }: SlowImage): Promise<HeldUp> {
    const pulls = ['n1', 'n2'].map((id) => {
      const node = theFleet().node(id);
      const pull = transferImage(node.socket, reference);
      pull.catch(() => undefined);
      return { node, pull };
    });
    let layer: Ingest | undefined;
    const hasBegun = async () => {
      [layer] = await ingests();
      return layer !== undefined && receivedBytes(layer) > BEGUN_BYTES;
    };
    expect(await waitUntil(hasBegun)).toBe(true);
    const holder = pulls.find(({ node }) => node.id === layer!.node)!;
    process.kill(holder.node.agent.pid(), 'SIGSTOP');
    let fetching: Ingest[] = [];
    const isRecorded = async () => {
      fetching = (await ingests()).filter(({ node }) => node === holder.node.id);
      return (fetching[0]?.durableBytes ?? 0) > 0;
    };
    expect(await waitUntil(isRecorded)).toBe(true);
    expect(fetching[0]!.durableBytes).toBeLessThan(fetching[0]!.totalBytes);
    return { holder, other: pulls.find((pull) => pull !== holder)!, fetching };
  }

  /** How the registry answered for each blob. */
  function answers(): Record<string, number[]> {
    const found: Record<string, number[]> = {};
    for (const { method, path, status } of theFleet().registryRequests()) {
      const digest = /\/blobs\/(sha256:[0-9a-f]+)/.exec(path)?.[1];
      if (method === 'GET' && digest) found[digest] = [...(found[digest] ?? []), status];
    }
    return found;
  }

  async function expectNothingLeft(): Promise<void> {
    await waitUntil(async () => (await leftOfPulls(theFleet())).length === 0);
    expect(await leftOfPulls(theFleet())).toEqual([]);
  }

  describe('an agent that is killed in the middle of a pull', () => {
    it('loses its claim to a node that waits, and leaves nothing when its lease has run out', async () => {
      const fleet = theFleet();
      const image = await freshImage();
      const { holder, other, fetching } = await holdUp(image);
      const startMs = performance.now();
      await holder.node.agent.kill();
      await expect(holder.pull).rejects.toMatchObject({ kind: 'Unavailable' });
      await other.pull;
      console.log(`${holder.node.id} killed: pulled after ${Math.round(performance.now() - startMs)} ms`);
      // Twice only what the dead one had begun.
      const begun = new Set(fetching.map(({ digest }) => digest));
      const expected = image.blobs.map((digest) => [digest, begun.has(digest) ? [200, 200] : [200]]);
      expect(answers()).toEqual(Object.fromEntries(expected));
      await expectToRun(other.node, image);

      const { node } = holder;
      await node.agent.whenReady();
      fleet.forgetRegistryRequests();
      await transferImage(node.socket, image.reference);
      expect(answers()).toEqual({});
      // A day later.
      await queryFleet(fleet, 'UPDATE content.leases SET expires_at = now() WHERE node = $1', [node.id]);
      await node.ctr.ok(['leases', 'create', '--id', 'sweep']);
      await node.ctr.ok(['leases', 'rm', '--sync', 'sweep']);
      await expectNothingLeft();
      await expectToRun(node, image);
    });
  });

  describe('a replica of content that is killed in the middle of a pull', () => {
    it('has the pull go on elsewhere from where it was, for all who wait for it', async () => {
      const { controlPlane } = theFleet();
      const image = await freshImage();
      const { holder, other, fetching } = await holdUp(image);
      const { digest, replica } = fetching[0]!;
      const startMs = performance.now();
      await controlPlane.kill('content', replica);
      process.kill(holder.node.agent.pid(), 'SIGCONT');
      await Promise.all([holder.pull, other.pull]);
      console.log(`content-${replica} killed: pulled after ${Math.round(performance.now() - startMs)} ms`);
      expect(answers()[digest]).toEqual([200, 206]);
      await controlPlane.whenReady('content', replica);
      for (const { node } of [holder, other]) await expectToRun(node, image);
      await expectNothingLeft();
    });
  });
}
