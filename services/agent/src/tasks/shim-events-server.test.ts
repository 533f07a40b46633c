import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { Events } from '@longshore/proto/containerd/services/events/ttrpc/v1/events';
import { createTtrpcClient, dialTtrpc } from '@longshore/ttrpc';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveShimEvents } from './shim-events-server.ts';
import type { TaskEvents } from './task-events.ts';

const run = promisify(execFile);
const NOBODY = 65_534;
const CONNECT = `require('node:net').connect(process.argv[1])
  .on('error', (error) => { console.log(error.code); process.exit(1); })
  .on('close', () => { console.log('closed'); process.exit(0); }).resume();
setTimeout(() => { console.log('open'); process.exit(0); }, 2000);`;

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

    const { stdout } = await run(process.execPath, ['-e', CONNECT, path], {
      uid: NOBODY,
      gid: NOBODY,
      env: {},
    });
    expect(stdout).toBe('closed\n');
  });
});
