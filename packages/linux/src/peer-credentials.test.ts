import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { peerCredentials } from './peer-credentials.ts';

describe('peerCredentials', () => {
  it('tells who connected', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'longshore-peer-'));
    const server = createServer().listen(join(directory, 'socket'));
    try {
      const client = connect(join(directory, 'socket'));
      const [socket] = (await once(server, 'connection')) as [Socket];
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
      expect(peerCredentials(fd)).toEqual({
        pid: process.pid,
        uid: process.getuid!(),
        gid: process.getgid!(),
      });
      client.destroy();
      socket.destroy();
    } finally {
      server.close();
      rmSync(directory, { recursive: true });
    }
  });

  it('says so when the descriptor is no socket', () => {
    expect(() => peerCredentials(0xffff)).toThrow(/EBADF.*getsockopt/);
  });
});
