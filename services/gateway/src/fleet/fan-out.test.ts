import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '@longshore/kit';
import type { CallOptions } from '@longshore/rpc';
import { describe, expect, it } from 'vitest';
import type { NodeConnection } from '../nodes/node-connection.ts';
import { FanOut } from './fan-out.ts';

const TIMEOUT_MS = 300;
const NODES = 60;

/** Nodes of which `connect` is all that takes time. */
function fanOutOver(connect: () => Promise<void>): FanOut {
  const nodes = Array.from({ length: NODES }, (_, number) => ({
    id: `n${number}`,
    isAway: false,
    isConnected: false,
    requireReachable: () => undefined,
    connect,
    heard: () => undefined,
    lost: () => undefined,
  }));
  const all = async () => nodes as unknown as NodeConnection[];
  return new FanOut({ nodes: { all }, timeoutMs: TIMEOUT_MS, log: createLogger('test', 'silent') });
}

async function* one(node: NodeConnection, { signal }: CallOptions) {
  const aborted = new Promise((_, reject) => signal!.addEventListener('abort', reject));
  await Promise.race([node.connect(), aborted]);
  yield 1;
}

const ASKER = { signal: new AbortController().signal, headers: {} };

describe('FanOut', () => {
  it('loses no node because connecting to many takes longer than a node has', async () => {
    const connected = delay(1.5 * TIMEOUT_MS);
    const fanOut = fanOutOver(() => connected);
    const answer = fanOut.ask(ASKER, one);
    expect((await Array.fromAsync(answer)).length).toBe(NODES);
    expect(answer.unreachable()).toEqual([]);
  });

  it('names the nodes that cannot be connected to, after a while', async () => {
    const answer = fanOutOver(() => new Promise(() => undefined)).ask(ASKER, one);
    expect(await Array.fromAsync(answer)).toEqual([]);
    expect(answer.unreachable().length).toBe(NODES);
  });
});
