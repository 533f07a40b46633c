import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTracing } from '@longshore/kit';
import { Task } from '@longshore/proto/containerd/task/v3/shim';
import { createTtrpcServer, type Metadata } from '@longshore/ttrpc';
import { context, propagation } from '@opentelemetry/api';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ShimClient } from './shim-client.ts';
import { traceHeaders } from './trace-headers.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Listens as a shim does, and shows the metadata that came with each call. */
async function listen(seen: Metadata[]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'longshore-shim-client-'));
  const server = createTtrpcServer().add(Task, {
    state: (_request, { metadata }) => {
      seen.push(metadata);
      return { id: 'web', pid: 7 };
    },
  });
  await server.listen(join(directory, 's'));
  onTestFinished(async () => {
    await server.close();
    await rm(directory, { recursive: true });
  });
  return `unix://${join(directory, 's')}`;
}

describe('ShimClient', () => {
  it('sends the namespace and the trace of the call under way with every call', async () => {
    await startTracing('test', '');
    const seen: Metadata[] = [];
    const client = await ShimClient.dial({ version: 3, address: await listen(seen), protocol: 'ttrpc' });
    onTestFinished(() => client.close());
    const incoming = propagation.extract(context.active(), { traceparent: TRACEPARENT });
    await context.with(incoming, () =>
      client.call('state', { id: 'web' }, { namespace: 'team-a', traceHeaders: traceHeaders() }),
    );
    expect(seen).toHaveLength(1);
    expect(seen[0]?.get('containerd-namespace-ttrpc')).toEqual(['team-a']);
    expect(seen[0]?.get('traceparent')).toEqual([TRACEPARENT]);
  });
});
