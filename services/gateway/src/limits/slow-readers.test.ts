import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SlowReaders } from './slow-readers.ts';

const CHUNK = Buffer.alloc(1024 * 1024);

/** Both ends of a connection; what comes is not read. */
async function openPair(): Promise<{ answer: Socket; reader: Socket }> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const reader = connect((server.address() as { port: number }).port);
  const [answer] = (await once(server, 'connection')) as [Socket];
  for (const socket of [answer, reader]) socket.on('error', () => undefined);
  onTestFinished(() => {
    for (const socket of [answer, reader]) socket.destroy();
    server.close();
  });
  return { answer, reader };
}

function fill(answer: Socket): void {
  while (answer.write(CHUNK));
}

describe('an answer that is not read', () => {
  it('is cut when it has stood still for long, and none that moves', async () => {
    let cuts = 0;
    const readers = new SlowReaders(300, () => cuts++);
    onTestFinished(() => readers.close());
    const [unread, slow, idle] = [await openPair(), await openPair(), await openPair()];
    for (const { answer } of [unread, slow, idle]) readers.watch(answer, () => answer.destroy());
    fill(unread.answer);
    slow.answer.on('drain', () => fill(slow.answer));
    fill(slow.answer);
    slow.reader.resume();
    await once(unread.answer, 'close');
    expect([slow.answer.destroyed, idle.answer.destroyed, cuts]).toEqual([false, false, 1]);
  });
});
