/**
 * Pulls an image, runs a command in a container of it, shows what it says, and leaves nothing behind.
 *
 *     node run-container.ts /run/longshore/longshore.sock docker.io/library/busybox:latest echo hello
 */
import { Client, imageConfig, streams, withImage, withNewSnapshot, withNewSpec } from '@longshore/client';

const [address = '', reference = '', ...args] = process.argv.slice(2);
using client = new Client(address, { namespace: 'examples' });
const image = await client.pull(reference, { unpack: true });

const id = `example-${process.pid}`;
await using container = await client.newContainer(
  id,
  withImage(image),
  withNewSnapshot(id, image),
  withNewSpec(imageConfig(image, args)),
);
await using task = await container.newTask(streams({ stdout: process.stdout, stderr: process.stderr }));
// Asked for before the start, so that no exit is too early.
const exit = task.wait();
await task.start();
process.exitCode = (await exit).code;
