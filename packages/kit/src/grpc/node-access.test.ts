import { create } from '@bufbuild/protobuf';
import { GetImageRequestSchema, Images } from '@longshore/proto/containerd/services/images/v1/images';
import {
  HeartbeatRequestSchema,
  NodeAdminService,
  NodeService,
  SetCordonRequestSchema,
} from '@longshore/proto/longshore/runtime/v1/nodes';
import { formatPeer } from '@longshore/transport';
import { TestAuthority } from '@longshore/transport/testing';
import { describe, expect, it } from 'vitest';
import { testServer, tlsClient } from '../testing/tls.ts';

const IMAGE = create(GetImageRequestSchema, { name: 'a' });

async function start() {
  const authority = new TestAuthority();
  const peers: string[] = [];
  const server = testServer((made) => {
    made.add(Images, {
      async get(_, call) {
        peers.push(`${formatPeer(call.peer)} in ${call.node}`);
        return {};
      },
    });
    made.add(NodeService, {
      async heartbeat({ id }, call) {
        call.requireNode(id);
        return {};
      },
    });
    made.add(NodeAdminService, { setCordon: async () => ({}) });
  });
  const address = await server.listen('127.0.0.1:0', authority.issue('service/image'));
  return { address, peers, node: authority.issue('node/n1'), gateway: authority.issue('service/gateway') };
}

describe("a node's certificate", () => {
  it('reads its own scope, and no other', async () => {
    const { address, peers, node, gateway } = await start();
    const images = tlsClient(Images, address, node);
    await images.unary('Get', IMAGE, { 'longshore-node': 'n1' });
    const refused: [Record<string, string>, string][] = [
      [{ 'longshore-node': 'n2' }, '"n2"'],
      [{}, '"_"'],
      [{ 'longshore-node': 'n2, n1' }, '"n2"'],
    ];
    for (const [headers, named] of refused) {
      await expect(images.unary('Get', IMAGE, headers)).rejects.toMatchObject({
        code: 7,
        message: `header longshore-node names ${named}, the certificate node/n1: permission denied`,
      });
    }
    await tlsClient(Images, address, gateway).unary('Get', IMAGE, { 'longshore-node': 'n2' });
    expect(peers).toEqual(['node/n1 in n1', 'service/gateway in n2']);
  });

  it('speaks for itself only', async () => {
    const { address, node } = await start();
    const nodes = tlsClient(NodeService, address, node);
    await nodes.unary('Heartbeat', create(HeartbeatRequestSchema, { id: 'n1' }));
    const other = nodes.unary('Heartbeat', create(HeartbeatRequestSchema, { id: 'n2' }));
    await expect(other).rejects.toMatchObject({ code: 7 });
  });

  it('does not decide about nodes', async () => {
    const { address, node } = await start();
    const request = create(SetCordonRequestSchema, { id: 'n1' });
    const asked = tlsClient(NodeAdminService, address, node).unary('SetCordon', request);
    await expect(asked).rejects.toMatchObject({
      code: 7,
      message: 'node/n1 may not call longshore.runtime.v1.NodeAdminService/SetCordon: permission denied',
    });
  });
});
