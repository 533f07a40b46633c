import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { onTestFinished } from 'vitest';

const SCRIPT = `
const server = require('node:net').createServer();
server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => console.log(server.address().port));
`;

/**
 * The address of a server that has stopped with its queue full: the kernel drops what else tries to connect, as on the
 * way to a machine that is lost. Gone after the test.
 */
export async function deafServer(): Promise<string> {
  const server = spawn(process.execPath, ['-e', SCRIPT], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void server.kill('SIGKILL'));
  const [port] = await once(server.stdout, 'data');
  server.kill('SIGSTOP');
  // A queue of one holds two.
  for (let n = 0; n < 2; n++) {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
  }
  return `127.0.0.1:${Number(port)}`;
}
