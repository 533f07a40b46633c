import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { type Output, StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pushTestImages } from '../harness/images.ts';
import { residentMegabytes } from '../harness/resident-memory.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { waitUntil } from '../harness/wait-until.ts';

const LINES = 100_000;
const FILE_BYTES = 4 * 1024 ** 2;
const scope = { headers: { [Header.Namespace]: 'default' } };

let stack: Stack;
let busybox: string;
let channel: Channel;
let stdio: ServiceClient<typeof StdioService>;
let tasks: ServiceClient<typeof Tasks>;
let n = 0;
let containerId: string;
let node: string;

beforeAll(async () => {
  stack = await startStack({
    env: { LONGSHORE_LOG_FILE_BYTES: String(FILE_BYTES), LONGSHORE_LOG_FILES: '3' },
  });
  busybox = (await pushTestImages(stack.registry)).busybox;
  await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
  channel = new Channel(stack.services.addresses('gateway').grpc!);
  stdio = createClient(StdioService, channel);
  tasks = createClient(Tasks, channel);
});
afterAll(async () => {
  channel?.close();
  await stack?.close();
});

beforeEach(() => {
  n += 1;
  containerId = `remote-${n}`;
});
afterEach(async () => {
  await stack.ctr.run(['task', 'rm', '-f', containerId]);
  await stack.ctr.ok(['container', 'rm', containerId]);
  // Its log goes with it.
  expect(await waitUntil(() => !logFiles(false).length)).toBe(true);
});

/** A container of this script, and its task with a kept log; not started. */
async function create(script: string): Promise<void> {
  await stack.ctr.ok(['container', 'create', '--', busybox, containerId, 'sh', '-c', script]);
  const made = await stdio.create({ containerId }, scope);
  node = made.node;
}

async function run(script: string): Promise<void> {
  await create(script);
  await tasks.start({ containerId }, scope);
}

function text({ data }: Output): string {
  return Buffer.from(data).toString();
}

async function logText(follow: boolean): Promise<string> {
  const parts: string[] = [];
  for await (const { outputs } of stdio.logs({ containerId, follow }, scope))
    parts.push(...outputs.map(text));
  return parts.join('');
}

function logFiles(mustExist = true): string[] {
  const directory = join(stack.root, 'logs/default', containerId);
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch (error) {
    if (mustExist) throw error;
    return [];
  }
}

describe('a container driven through the gateway, by a caller who shares no file with its node', () => {
  it('is made, started, followed, looked into and ended', async () => {
    await create('trap "echo bye; exit 5" TERM; echo hello; sleep 100000 & wait');
    const following = logText(true);
    await tasks.start({ containerId }, scope);
    const onNode = { headers: { ...scope.headers, [Header.Node]: node } };
    async function* inputs() {
      const args = ['sh', '-c', 'cat; exit 3'];
      yield { message: { case: 'start' as const, value: { containerId, args, stdin: true } } };
      yield { message: { case: 'stdin' as const, value: Buffer.from('through it all\n') } };
    }
    const responses = await Array.fromAsync(stdio.exec(inputs(), onNode));
    expect(responses.map(({ message }) => message.case)).toEqual(['started', 'output', 'exit']);
    const outputs = responses.map(({ message }) => (message.case === 'output' ? text(message.value) : ''));
    expect(outputs.join('')).toBe('through it all\n');
    expect(responses[2]?.message).toMatchObject({ value: { status: 3 } });
    await tasks.kill({ containerId, signal: 15 }, scope);
    expect(await following).toBe('hello\nbye\n');
    expect(await tasks.wait({ containerId }, scope)).toMatchObject({ exitStatus: 5 });
    await expect(Array.fromAsync(stdio.exec(inputs(), scope))).rejects.toMatchObject({
      kind: 'InvalidArgument',
      message: /longshore-node is required/,
    });
  });

  it('loses no line when the agent is killed while it writes, and ends, without one', async () => {
    await run(`i=0; while [ $i -lt ${LINES} ]; do echo "line $i"; i=$((i+1)); done`);
    expect(await waitUntil(() => logFiles().length > 0)).toBe(true);
    await stack.services.kill('agent');
    await stack.services.whenReady('agent');
    expect(await waitUntil(async () => /STOPPED/.test(await stack.ctr.ok(['task', 'ls'])))).toBe(true);
    const numbers = (await logText(true))
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.slice('line '.length)));
    const missing = LINES - new Set(numbers).size;
    // What was read and not written when it was killed: of its two chunks in hand, at most.
    console.log(`${missing} of ${LINES} lines lost`);
    expect(missing).toBeLessThan((2 * 65_536) / 'line 0\n'.length);
    expect(numbers.length).toBeLessThanOrEqual(LINES);
    expect(numbers.at(-1)).toBe(LINES - 1);
  });

  it('writes 1 GB at its own speed, whoever reads slowly or leaves; disk and memory stay bounded', async () => {
    await create('dd if=/dev/zero bs=1M count=1000 2>/dev/null; echo; echo the end');
    const left = new AbortController();
    const slow = stdio
      .logs({ containerId, follow: true }, { ...scope, signal: left.signal })
      [Symbol.asyncIterator]();
    const before = residentMegabytes(stack.services.pid('agent'));
    const started = performance.now();
    await tasks.start({ containerId }, scope);
    await slow.next();
    await tasks.wait({ containerId }, scope);
    const seconds = (performance.now() - started) / 1_000;
    const after = residentMegabytes(stack.services.pid('agent'));
    console.log(`1 GB in ${seconds.toFixed(1)} s, agent ${before.toFixed(0)} -> ${after.toFixed(0)} MB`);
    const sizes = logFiles().map((path) => statSync(path).size);
    expect(sizes.length).toBeLessThanOrEqual(3);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(FILE_BYTES);
    expect(after - before).toBeLessThan(40);
    // The slow one goes on behind what it has missed; one that leaves takes nothing with it.
    let skipped = 0n;
    for (let next = await slow.next(); !next.done && skipped === 0n; next = await slow.next()) {
      for (const output of next.value.outputs) skipped += output.skippedBytes;
    }
    expect(skipped).toBeGreaterThan(0n);
    left.abort();
    const end = await Array.fromAsync(stdio.logs({ containerId, tail: 1n }, scope));
    expect(end.flatMap(({ outputs }) => outputs.map(text))).toEqual(['the end\n']);
  });
});
