import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { createLogger, createMetrics, GrpcServer } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import {
  type AttachRequestSchema,
  type AttachResponse,
  type ExecRequestSchema,
  type ExecResponse,
  type ExecStartSchema,
  StdioService,
  Stream,
} from '@longshore/proto/longshore/node/v1/stdio';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { stdioRpc } from '../../rpc/stdio-rpc.ts';
import { containerOf, NAMESPACE, TaskFixture } from '../../tasks/task-fixture.testing.ts';
import { KeptStdio } from '../kept-stdio.ts';
import { LogReaders } from '../log-readers.ts';
import { RemoteProcesses } from '../remote-processes.ts';

const scope = { headers: { [Header.Namespace]: NAMESPACE } };
const log = createLogger('agent', process.env.TEST_LOG ?? 'silent');

/** A node's tasks with real shims, whose output is kept, and a client of `StdioService`. `close` fails when something is left. */
export class RemoteNode {
  readonly tasks: TaskFixture;
  stdio!: KeptStdio;
  client!: ServiceClient<typeof StdioService>;
  readonly limits = { fileBytes: 1024 ** 2, files: 3 };
  readonly deleted = new Set<string>();
  #server!: GrpcServer;
  #channel!: Channel;

  private constructor(tasks: TaskFixture) {
    this.tasks = tasks;
  }

  static async open(): Promise<RemoteNode> {
    const node = new RemoteNode(await TaskFixture.open());
    await node.#start();
    return node;
  }

  /** As a kill would; calls that are under way break. */
  async restart(meanwhile: () => Promise<void> = async () => undefined): Promise<void> {
    this.#channel.close();
    await this.#server.close(0);
    this.stdio[Symbol.dispose]();
    await this.#start(meanwhile);
  }

  /** Makes a container of `args` of busybox, and its task through the service. */
  async create(id: string, args: string[], io: { terminal?: boolean; stdin?: boolean } = {}): Promise<void> {
    const spec = this.tasks.spec(id, args) as { process: object };
    const withTerminal = { ...spec, process: { ...spec.process, terminal: io.terminal ?? false } };
    this.tasks.containers.set(id, containerOf(id, withTerminal));
    await this.client.create({ containerId: id, ...io }, scope);
  }

  attach(inputs: Inputs<MessageInitShape<typeof AttachRequestSchema>>, signal?: AbortSignal) {
    return this.client.attach(inputs, { ...scope, signal });
  }

  exec(inputs: Inputs<MessageInitShape<typeof ExecRequestSchema>>, signal?: AbortSignal) {
    return this.client.exec(inputs, { ...scope, signal });
  }

  logs(request: Parameters<ServiceClient<typeof StdioService>['logs']>[0], signal?: AbortSignal) {
    return this.client.logs(request, { ...scope, signal });
  }

  /** What the container has written, of both streams. */
  async logText(containerId: string, follow = false): Promise<string> {
    let text = '';
    for await (const { outputs } of this.logs({ containerId, follow })) {
      text += outputs.map(({ data }) => Buffer.from(data).toString()).join('');
    }
    return text;
  }

  /** Runs an exec to its end, with this input. */
  async run(start: MessageInitShape<typeof ExecStartSchema>, input?: string): Promise<Outcome> {
    const inputs = new Inputs<MessageInitShape<typeof ExecRequestSchema>>();
    inputs.push({ message: { case: 'start', value: { ...start, stdin: input !== undefined } } });
    if (input !== undefined) inputs.push({ message: { case: 'stdin', value: Buffer.from(input) } });
    inputs.end();
    return outcomeOf(this.exec(inputs));
  }

  async close(): Promise<void> {
    this.#channel.close();
    await this.#server.close(1_000);
    await this.tasks.close();
    this.stdio[Symbol.dispose]();
  }

  #keep(): KeptStdio {
    const { stateDir, rootDir } = this.tasks;
    const isDeleted = (_namespace: string, id: string) => this.deleted.has(id);
    this.stdio = new KeptStdio({
      stateDir,
      rootDir,
      limits: this.limits,
      isDeleted,
      onDropped: () => undefined,
      log,
    });
    return this.stdio;
  }

  async #start(meanwhile?: () => Promise<void>): Promise<void> {
    const { tasks } = this;
    await tasks.restart(meanwhile, { stdio: this.#keep() });
    this.stdio.sweep();
    const rootfsOf = async () => tasks.request('').rootfs;
    const processes = new RemoteProcesses({
      tasks: tasks.manager,
      stdio: this.stdio,
      containers: { get: async (id) => tasks.containers.get(id)! },
      rootfsOf,
      requireAdmitted: () => undefined,
    });
    processes.takeUpExecs();
    this.#server = new GrpcServer(log, createMetrics('agent'));
    this.#server.add(
      StdioService,
      stdioRpc({
        node: 'node-1',
        processes,
        readers: new LogReaders(),
        rootfsOf,
        stopping: this.#server.stopping,
      }),
    );
    const address = `unix://${join(tasks.directory, 'stdio.sock')}`;
    await this.#server.listen(address, { tlsCert: '', tlsKey: '', tlsCa: '' });
    this.#channel = new Channel(address);
    this.client = createClient(StdioService, this.#channel);
  }
}

/** What a caller sends, as it comes to mind. */
export class Inputs<T> implements AsyncIterable<T> {
  readonly #queue: T[] = [];
  #isEnded = false;
  #wake: () => void = () => undefined;

  push(...messages: T[]): void {
    this.#queue.push(...messages);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const next = this.#queue.shift();
      if (next !== undefined) yield next;
      else if (this.#isEnded) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

export interface Outcome {
  stdout: string;
  stderr: string;
  /** Undefined when the call ended without. */
  status: number | undefined;
}

/** Reads a call to its end; `onText` hears of all that was written so far. */
export async function outcomeOf(
  responses: AsyncIterable<AttachResponse | ExecResponse>,
  onText: (stdout: string) => void = () => undefined,
): Promise<Outcome> {
  const outcome: Outcome = { stdout: '', stderr: '', status: undefined };
  for await (const { message } of responses) {
    if (message.case === 'exit') outcome.status = message.value.status;
    if (message.case !== 'output') continue;
    const { stream, data } = message.value;
    outcome[stream === Stream.STDERR ? 'stderr' : 'stdout'] += Buffer.from(data).toString();
    onText(outcome.stdout);
  }
  return outcome;
}
