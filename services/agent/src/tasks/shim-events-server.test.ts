import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcClient, dialTtrpc } from '@longshore/ttrpc';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveShimEvents } from './shim-events-server.ts';
import type { TaskEvents } from './task-events.ts';

const NOBODY = 65_534;

/** Connects as another user: whose a connection is, is settled when it is made. Answers once the server has closed it. */
async function closedFor(uid: number, path: string): Promise<void> {
  process.seteuid!(uid);
  const socket = connect(path);
  process.seteuid!(0);
  await once(socket.resume(), 'close', { signal: AbortSignal.timeout(5000) });
}

describe('serveShimEvents', () => {
  it('takes events of the same user, and nothing of another who reaches the socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'shim-events-'));
    const path = join(directory, 's');
    const topics: string[] = [];
    const events = { take: ({ topic }: { topic: string }) => topics.push(topic) } as unknown as TaskEvents;
    const server = await serveShimEvents(path, events);
    onTestFinished(async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    });
    chmodSync(directory, 0o777);
    chmodSync(path, 0o666);

    await using connection = await dialTtrpc(path);
    const envelope = {
      namespace: 'team-a',
      topic: '/tasks/oom',
      timestamp: timestampNow(),
      event: { typeUrl: 'x', value: new Uint8Array() },
    };
    await createTtrpcClient(Events, connection).forward({ envelope });
    expect(topics).toEqual(['/tasks/oom']);

    await closedFor(NOBODY, path);
  });
});
