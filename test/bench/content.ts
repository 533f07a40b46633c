import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard } from '@longshore/local';
import { startServer } from '../harness/global-setup.ts';
import { type PeerContainerd, startContainerd } from '../harness/peer-containerd.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { benchIngests } from './content/ingests.ts';
import { benchLists } from './content/lists.ts';
import type { Side } from './content/sides.ts';
import { benchThroughput } from './content/throughput.ts';

/** What can be measured alone. */
export const CONTENT_STEPS = ['throughput', 'ingests', 'lists'] as const;

export interface ContentOptions {
  steps: readonly string[];
  /** Of the blob that is sent and read. */
  megabytes: number;
  /** Counted runs on each side, and calls of each list. */
  runs: number;
  /** That lists look at. */
  records: number;
}

const NODE = 'bench';
/** In memory: what lists take does not depend on the disk, but making their records would take a quarter of an hour. */
const PEER_OF_LISTS = '/dev/shm';

/** Prints how fast content is written, read and listed through the node socket, beside a containerd of this machine. */
export async function benchContent({ steps, megabytes, runs, records }: ContentOptions): Promise<void> {
  const tearDown = await startServer({ durable: true });
  const directory = await mkdtemp(join(tmpdir(), 'longshore-bench-content-'));
  guard().removeWithUs(directory);
  try {
    await using stack = await startStack({
      env: { LONGSHORE_LOG_LEVEL: 'info', LONGSHORE_NODE_ID: NODE },
    });
    await using peer = await startContainerd();
    const sides = sidesOf(stack, peer);
    if (steps.includes('throughput')) await benchThroughput(sides, { megabytes, runs, directory });
    if (steps.includes('ingests')) await benchIngests(sides);
    if (steps.includes('lists')) await compareLists(stack, records, runs);
  } finally {
    await rm(directory, { recursive: true, force: true });
    await tearDown();
  }
}

function sidesOf(stack: Stack, peer: PeerContainerd): Side[] {
  return [
    { name: 'longshore', socket: stack.socket },
    { name: 'containerd', socket: peer.socket },
  ];
}

async function compareLists(stack: Stack, records: number, calls: number): Promise<void> {
  await using peer = await startContainerd({ directory: PEER_OF_LISTS });
  await benchLists({
    records,
    calls,
    databaseUrl: stack.databaseUrl,
    peer: peer.socket,
    own: [
      { name: 'node socket', address: `unix://${stack.socket}`, node: NODE },
      { name: 'content service', address: stack.services.addresses('content').grpc ?? '', node: undefined },
    ],
  });
}
