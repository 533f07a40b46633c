import { unavailable } from '@longshore/errors';
import { createLogger, NO_TLS } from '@longshore/kit';
import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { Revocations } from '@longshore/transport';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { NodeDirectory } from './node-directory.ts';

const ready = (id: string, address = `unix:///run/${id}.sock`) => ({ id, address, state: NodeState.READY });

describe('NodeDirectory', () => {
  it('goes by what it knows while the registry says nothing, and takes up what that says later', async () => {
    const now = vi.spyOn(performance, 'now').mockReturnValue(0);
    onTestFinished(() => now.mockRestore());
    const later = Promise.withResolvers<{ nodes: ReturnType<typeof ready>[] }>();
    const list = vi.fn().mockResolvedValueOnce({ nodes: [ready('a'), ready('b')] });
    list.mockReturnValue(later.promise);
    const get = vi.fn().mockRejectedValue(unavailable('service "runtime"'));
    const directory = new NodeDirectory({ list, get } as never, NO_TLS, {
      revocations: new Revocations(),
      log: createLogger('gateway', 'silent'),
    });
    onTestFinished(() => directory.close());
    await directory.all();
    now.mockReturnValue(10_000);
    expect((await directory.all()).map(({ id }) => id)).toEqual(['a', 'b']);
    expect((await directory.reach('b')).address).toBe('unix:///run/b.sock');
    await expect(directory.reach('c')).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(list).toHaveBeenCalledTimes(2);

    later.resolve({ nodes: [ready('b', 'unix:///run/moved.sock')] });
    await vi.waitFor(async () => expect((await directory.all()).map(({ id }) => id)).toEqual(['b']));
    expect((await directory.reach('b')).address).toBe('unix:///run/moved.sock');
  });

  it('waits for the registry as long as it knows nothing, and says when that is away', async () => {
    const registry = { list: vi.fn().mockRejectedValueOnce(unavailable('service "runtime"')) };
    registry.list.mockResolvedValue({ nodes: [ready('a')] });
    const directory = new NodeDirectory(registry as never, NO_TLS, {
      revocations: new Revocations(),
      log: createLogger('gateway', 'silent'),
    });
    onTestFinished(() => directory.close());
    await expect(directory.all()).rejects.toMatchObject({ kind: 'Unavailable' });
    expect((await directory.reach('a')).id).toBe('a');
  });

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
