import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import { createLogger, createMetrics, GrpcServer, type Handlers } from '@longshore/kit';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { onTestFinished } from 'vitest';
import { scratchDirectory } from '../../snapshots/testing/scratch-directory.ts';

/** A client of one service on a socket of its own, until the test ends. */
export async function served<S extends DescService>(
  service: S,
  handlers: Handlers<S>,
): Promise<ServiceClient<S>> {
  const address = `unix://${join(await scratchDirectory(), 'served.sock')}`;
  const server = new GrpcServer(createLogger('agent', 'silent'), createMetrics('agent'));
  server.add(service, handlers);
  await server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
  const channel = new Channel(address);
  onTestFinished(async () => {
    channel.close();
    await server.close(1_000);
  });
  return createClient(service, channel);
}
