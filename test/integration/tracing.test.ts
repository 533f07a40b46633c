import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ServiceName } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rawCall } from '../harness/raw-call.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const HEADERS = {
  'containerd-namespace': 'default',
  traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
  'x-request-id': 'request-of-the-test',
};

/** Of what is not there: reads would be answered by the agent. */
const DELETE_CONTAINER = '/containerd.services.containers.v1.Containers/Delete';

/** What an OpenTelemetry collector would get: OTLP over HTTP, kept as it came. */
const exported: Buffer[] = [];
const collector = createServer(async (request, response) => {
  exported.push(await buffer(request));
  response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
});

let stack: Stack;

beforeAll(async () => {
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  stack = await startStack({
    env: { LONGSHORE_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
  });
});
afterAll(async () => {
  await stack?.close();
  collector.closeAllConnections();
  collector.close();
});

function logLines(service: ServiceName): Record<string, unknown>[] {
  const text = readFileSync(join(stack.state, 'logs', `${service}.log`), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}

describe('one call through the node socket', () => {
  it("is logged by the owning service with the caller's trace id and request id", async () => {
    await rawCall(stack.socket, DELETE_CONTAINER, HEADERS, Buffer.from('\x0a\x01x', 'latin1'));
    const found = await waitUntil(() =>
      logLines('runtime').some((line) => line.request_id === HEADERS['x-request-id']),
    );
    expect(found).toBe(true);
    const [line] = logLines('runtime').filter(({ request_id }) => request_id === HEADERS['x-request-id']);
    expect(line).toMatchObject({
      trace_id: TRACE_ID,
      method: DELETE_CONTAINER,
    });
  });

  it('carries both on from the agent to the control plane', async () => {
    await rawCall(
      stack.socket,
      '/containerd.services.snapshots.v1.Snapshots/Remove',
      HEADERS,
      Buffer.from('\x0a\x09overlayfs\x12\x01x', 'latin1'),
    );
    const seenBy = (service: ServiceName) =>
      logLines(service).some(
        (line) => line.trace_id === TRACE_ID && line.request_id === HEADERS['x-request-id'],
      );
    expect(await waitUntil(() => seenBy('agent') && seenBy('snapshot'))).toBe(true);
  });

  it('reaches a collector as spans of every service on its way', async () => {
    const traceId = Buffer.from(TRACE_ID, 'hex');
    const spansOf = (service: ServiceName) =>
      exported.some((batch) => batch.includes(traceId) && batch.includes(`longshore-${service}`));
    expect(await waitUntil(() => spansOf('agent') && spansOf('snapshot') && spansOf('runtime'), 20_000)).toBe(
      true,
    );
  });
});
