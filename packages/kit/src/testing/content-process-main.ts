import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { NO_TLS } from '@longshore/transport';
import { GrpcServer } from '../grpc/server.ts';
import { createLogger } from '../logger.ts';
import { createMetrics } from '../metrics.ts';

const CHUNK = new Uint8Array(64 * 1024);

const server = new GrpcServer(createLogger('test', 'silent'), createMetrics('test'));
server.add(Content, {
  async info({ digest }) {
    return { info: { digest } };
  },
  async *read({ size }) {
    for (let left = size; left > 0n; left -= BigInt(CHUNK.length)) yield { data: CHUNK };
  },
});
await server.listen(process.argv[2] ?? '', NO_TLS);
process.send?.('listening');
process.once('disconnect', () => process.exit(0));
