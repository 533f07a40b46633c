/**
 * A client that starts a task, and then makes a container that it does not record: it says that it is so far, in a line, and stays there.
 */
import { streams } from '@longshore/client';
import { openClient, type Server, scripted } from './server.ts';

const [given = '', running = '', unrecorded = ''] = process.argv.slice(2);
const server = JSON.parse(given, (_, value) =>
  value?.type === 'Buffer' ? new Uint8Array(value.data) : value,
) as Server;
const client = openClient(server);

const script = 'echo here; sleep 1000';
const container = await client.newContainer(running, ...(await scripted(server, client, running, script)));
const task = await container.newTask(streams({ stdout: process.stdout }));
await task.start();
await client.newContainer(unrecorded, ...(await scripted(server, client, unrecorded, script)), async () => {
  console.log('so far');
  await new Promise((resolve) => setTimeout(resolve, 600_000));
});
