/**
 * Runs a command in a container that runs already, with this process's own input.
 *
 *     echo hello | node exec.ts /run/longshore/longshore.sock default web cat
 */
import { Client, streams } from '@longshore/client';

const [address = '', namespace = '', id = '', ...args] = process.argv.slice(2);
using client = new Client(address, { namespace });
const container = await client.container(id);
const task = await container.task();
const { stdin, stdout, stderr } = process;
await using exec = await task.exec(
  `example-${process.pid}`,
  await container.processSpec(args),
  streams({ stdin, stdout, stderr }),
);
const exit = exec.wait();
await exec.start();
process.exitCode = (await exit).code;
