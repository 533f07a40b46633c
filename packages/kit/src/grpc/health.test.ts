import { create } from '@bufbuild/protobuf';
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as Status,
} from '@longshore/proto/grpc/health/v1/health';
import { describe, expect, it } from 'vitest';
import { ended, startServer, TestClient } from '../testing/grpc.ts';

const WHOLE = create(HealthCheckRequestSchema);
const PART = create(HealthCheckRequestSchema, { service: 'part' });

describe('HealthService', () => {
  it('serves once it listens, under the empty name only', async () => {
    const { address } = await startServer(() => undefined);
    const client = new TestClient(Health, address);
    const { answer } = await client.unary<HealthCheckResponse>('Check', WHOLE);
    expect(answer.status).toBe(Status.SERVING);
    await expect(client.unary('Check', PART)).rejects.toMatchObject({ code: 5 });
  });

  it('tells a watcher of each change, and ends with the server without holding it up', async () => {
    const { server, address } = await startServer(() => undefined);
    const stream = new TestClient(Health, address).serverStream<HealthCheckResponse>('Watch', WHOLE);
    const status = ended(stream);
    const seen: Status[] = [];
    for await (const { status } of stream) {
      seen.push(status);
      if (seen.length === 1) server.health.setServing(false);
      if (seen.length === 2) server.health.setServing(true);
      if (seen.length === 3) void server.close(60_000);
    }
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING, Status.SERVING, Status.NOT_SERVING]);
    expect((await status).code).toBe(0);
  });

  it('answers SERVICE_UNKNOWN to who watches a part', async () => {
    const { address } = await startServer(() => undefined);
    const stream = new TestClient(Health, address).serverStream<HealthCheckResponse>('Watch', PART);
    ended(stream);
    for await (const { status } of stream) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });
});
