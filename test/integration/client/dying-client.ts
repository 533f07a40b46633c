/** A client that says how far it is, in a line each, and goes no further than it is told: `snapshot` or `task`. */
import { streams } from '@longshore/client';
import { openClient, type Server, scripted } from './server.ts';

const [given = '', id = '', stop = ''] = process.argv.slice(2);
const server = JSON.parse(given, (_, value) =>
  value?.type === 'Buffer' ? new Uint8Array(value.data) : value,
) as Server;
const client = openClient(server);

async function reach(point: string): Promise<void> {
  console.log(point);
  if (point === stop) await new Promise((resolve) => setTimeout(resolve, 600_000));
}

const options = await scripted(server, client, id, 'echo here; sleep 1000');
const container = await client.newContainer(id, ...options, () => reach('snapshot'));
const task = await container.newTask(streams({ stdout: process.stdout }));
await task.start();
await reach('task');
