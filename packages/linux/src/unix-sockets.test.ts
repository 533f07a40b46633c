import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { socketOwner } from './unix-sockets.ts';

/** Leaves the listening socket to a child and ends, as a shim's `start` does. */
const LISTENER = `
  const { spawn } = require('node:child_process');
  const server = require('node:net').createServer(() => undefined).listen(process.argv[1].replace('@', '\\0'), () => {
    const child = spawn('sleep', ['60'], { detached: true, stdio: ['ignore', 'ignore', 'ignore', server._handle.fd] });
    process.stdout.write(String(child.pid), () => process.exit());
  });
`;

let directory: string;
let pid = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'longshore-sockets-'));
});

afterEach(() => {
  if (pid) process.kill(pid, 'SIGKILL');
  rmSync(directory, { recursive: true });
});

async function listen(path: string): Promise<void> {
  const starter = spawn(process.execPath, ['-e', LISTENER, path.replace('\0', '@')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  starter.stdout.on('data', (text) => {
    pid = Number(text);
  });
  await once(starter, 'close');
}

describe('socketOwner', () => {
  it.each([
    ['a path', () => join(directory, 'a b.sock')],
    ['an abstract name', () => `\0longshore-test-${process.pid}`],
  ])('finds who holds the listening socket of %s, though another process made it', async (_, pathOf) => {
    const path = pathOf();
    await listen(path);
    // The client's end has no name; one that is waiting to be accepted has, and nobody holds it.
    const client = connect({ path });
    await once(client, 'connect');
    expect(await socketOwner(path)).toBe(pid);
    client.destroy();
    process.kill(pid, 'SIGKILL');
    pid = 0;
    await expect.poll(() => socketOwner(path), { timeout: 10_000 }).toBeUndefined();
  });

  it('is not taken in by a name that holds what looks like a line', async () => {
    const path = `\0longshore-test-${process.pid}-${'x'.repeat(10)}`;
    await listen(path);
    const own = createServer().listen(`\0other-${process.pid}`);
    await once(own, 'listening');
    const table = readFileSync('/proc/net/unix', 'utf8');
    const inode = new RegExp(` (\\d+) @other-${process.pid}$`, 'm').exec(table)?.[1];
    const forged = `\0x\n0: 0 0 10000 0 0 ${inode} ${path.replace('\0', '@')}`;
    const liar = createServer().listen(forged);
    await once(liar, 'listening');
    try {
      expect(readFileSync('/proc/net/unix', 'utf8')).toContain(forged.slice(3));
      expect(await socketOwner(path)).toBe(pid);
      process.kill(pid, 'SIGKILL');
      pid = 0;
      await expect.poll(() => socketOwner(path), { timeout: 10_000 }).toBeUndefined();
    } finally {
      own.close();
      liar.close();
    }
  });

  it('finds nobody where nobody listens', async () => {
    expect(await socketOwner(join(directory, 'none'))).toBeUndefined();
  });
});
