import type { IncomingHttpHeaders } from 'node:http2';
import { create, toBinary } from '@bufbuild/protobuf';
import { Content, InfoRequestSchema } from '@longshore/proto/containerd/services/content/v1/content';
import { MAX_MESSAGE_BYTES } from '@longshore/proto/limits';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../metrics.ts';
import { silent, startServer } from '../testing/grpc.ts';
import { openRaw } from '../testing/raw-caller.ts';
import type { GrpcServer } from './server.ts';

const INFO = '/containerd.services.content.v1.Content/Info';
const REQUEST = toBinary(InfoRequestSchema, create(InfoRequestSchema, { digest: 'sha256:a' }));

/** A server of one unary method; answers how a call of it by hand ends. */
async function startInfo(metrics = createMetrics('test'), labels: Record<string, string> = {}) {
  const register = (server: GrpcServer) =>
    server.add(Content, { info: async ({ digest }) => ({ info: { digest, labels } }) });
  const { address } = await startServer(register, silent, metrics);
  return (message: Uint8Array, headers = {}): Promise<string> => {
    const call = openRaw(address, INFO, message, headers);
    call.resume();
    const { promise, resolve } = Promise.withResolvers<string>();
    for (const event of ['response', 'trailers']) {
      call.on(event, ({ 'grpc-status': status }: IncomingHttpHeaders) => {
        if (status !== undefined) resolve(String(status));
      });
    }
    return promise;
  };
}

describe('a unary call', () => {
  it('is answered, also when it says that nothing of it is compressed', async () => {
    const call = await startInfo();
    expect(await call(REQUEST)).toBe('0');
    expect(await call(REQUEST, { 'grpc-encoding': 'identity' })).toBe('0');
  });

  it('is refused when its request is no message of its method, or is too large, and the next is answered', async () => {
    const call = await startInfo();
    expect(await call(Buffer.of(0x0a, 0x7f))).toBe('13');
    expect(await call(Buffer.alloc(MAX_MESSAGE_BYTES + 1))).toBe('8');
    expect(await call(REQUEST)).toBe('0');
  });

  it('whose answer is too large is counted as what its caller got', async () => {
    const metrics = createMetrics('test');
    const call = await startInfo(metrics, { large: 'x'.repeat(MAX_MESSAGE_BYTES) });
    expect(await call(REQUEST)).toBe('8');
    expect(await metrics.registry.metrics()).toMatch(/rpc\w*_count\{[^}]*method="Info",code="8"[^}]*\} 1/);
  });
});
