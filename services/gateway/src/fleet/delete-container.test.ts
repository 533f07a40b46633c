import { notFound } from '@longshore/errors';
import { createLogger, createMetrics, GrpcServer, NO_TLS } from '@longshore/kit';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { NodeState } from '@longshore/proto/longshore/runtime/v1/nodes';
import { scratchDirectory } from '@longshore/transport/testing';
import { expect, it, onTestFinished } from 'vitest';
import { NodeConnection } from '../nodes/node-connection.ts';
import { refusal } from '../testing/refusal.ts';
import { ContainerDeletion } from './delete-container.ts';

const log = createLogger('gateway', 'silent');

/** To a node at `address`, of a container that has no record any more. */
function deletion(address: string): ContainerDeletion {
  const connection = new NodeConnection({ id: 'n1', address, state: NodeState.READY }, NO_TLS, {});
  onTestFinished(() => connection.close());
  return new ContainerDeletion({
    nodes: { find: async () => connection },
    containers: {
      markDeleting: async () => {
        throw notFound('container "a"');
      },
    },
    timeoutMs: 10_000,
    log,
  });
}

it('has happened when the node is lost after it was asked, and the record is gone', async () => {
  const server = new GrpcServer(log, createMetrics('agent'));
  const address = `unix://${scratchDirectory()}/agent.sock`;
  server.add(Containers, {
    delete: async () => {
      await server.close(0);
      return {};
    },
  });
  await server.listen(address, NO_TLS);
  expect(await deletion(address).delete('n1', 'a', {})).toBe('deleted');
});

it('has not when the node was never reached', async () => {
  const address = `unix://${scratchDirectory()}/nobody.sock`;
  expect(await refusal(deletion(address).delete('n1', 'a', {}))).toBe('NotFound: container "a": not found');
});
