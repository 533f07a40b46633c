import { createLogger, NO_TLS } from '@longshore/kit';
import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Revocations } from '@longshore/transport';
import { describe, expect, it, onTestFinished } from 'vitest';
import { NodeDirectory } from './node-directory.ts';

describe('NodeDirectory', () => {
  it('finds the other nodes when one has an address that is none', async () => {
    const nodes = [
      { id: 'bad', address: '10.0.0.1', state: NodeState.READY },
      { id: 'good', address: 'unix:///run/good.sock', state: NodeState.READY },
    ];
    const registry = {
      list: async () => ({ nodes }),
      get: async ({ id }: { id: string }) => ({ node: nodes.find((node) => node.id === id) }),
    };
    const directory = new NodeDirectory(registry as never, NO_TLS, {
      revocations: new Revocations(),
      log: createLogger('gateway', 'silent'),
    });
    onTestFinished(() => directory.close());
    expect((await directory.all()).map(({ id }) => id)).toEqual(['good']);
    await expect(directory.reach('bad')).rejects.toThrow(
      'node "bad": it has not reported where it can be reached: unavailable',
    );
  });
});
