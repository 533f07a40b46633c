import type { Client } from '@grpc/grpc-js';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { CatalogueService } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import { WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import { connect, serverStream, unary } from './calls.ts';
import { ListServer } from './list-server.ts';

/** As the agent has them. */
const HEARTBEAT_MS = 10_000;
const HOUSEKEEPING_MS = 60_000;

const KEEPERS = ['content', 'image', 'snapshot', 'runtime'] as const;

/** What agents did since the last look. */
export interface Diary {
  heartbeatsMs: number[];
  /** Calls that failed, and watches that ended. */
  failures: string[];
}

/**
 * What the control plane sees of an agent whose containers just run: a connection to each service, a watch of each
 * keeper of records, heartbeats, and housekeeping's question for layers to delete.
 */
export class SimulatedAgent {
  readonly #id: string;
  readonly #state: string;
  readonly #clients: Record<(typeof KEEPERS)[number], Client>;
  readonly #lists = new ListServer();
  readonly #diary: Diary;

  /** `state` is where the services' sockets are. */
  constructor(id: string, state: string, diary: Diary) {
    this.#id = id;
    this.#state = state;
    this.#diary = diary;
    const to = (name: string) => connect(`${state}/${name}.sock`);
    this.#clients = {
      content: to('content'),
      image: to('image'),
      snapshot: to('snapshot'),
      runtime: to('runtime'),
    };
  }

  /** Containers that it has heard of. */
  get containers(): number {
    return this.#lists.size;
  }

  /** Resolves once it is registered and its copies are complete; heartbeats begin `delayMs` after that. */
  async start(delayMs: number): Promise<void> {
    const socket = `${this.#state}/${this.#id}.sock`;
    await this.#lists.listen(socket);
    await unary(this.#clients.runtime, NodeService.method.register, { node: this.#report(socket) }, this.#id);
    await Promise.all(KEEPERS.map((keeper) => this.#watch(keeper)));
    this.#repeat(delayMs, HEARTBEAT_MS, async () => {
      const started = performance.now();
      const request = { id: this.#id, runningTasks: this.containers };
      await unary(this.#clients.runtime, NodeService.method.heartbeat, request, this.#id);
      this.#diary.heartbeatsMs.push(performance.now() - started);
    });
    this.#repeat(delayMs, HOUSEKEEPING_MS, () =>
      unary(this.#clients.snapshot, CatalogueService.method.listTombstones, {}, this.#id),
    );
  }

  /** Resolves once everything was told; what comes later is heard of until the process ends. */
  #watch(keeper: (typeof KEEPERS)[number]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const follow = async () => {
      const stream = serverStream(this.#clients[keeper], WatchService.method.watch, {}, this.#id);
      for await (const { records, synced } of stream) {
        for (const { kind, key, value } of records) if (kind === 'container') this.#lists.keep(key, value);
        if (synced) resolve();
      }
      throw new Error('the watch has ended');
    };
    follow().catch((error) => {
      this.#failed(error);
      reject(error);
    });
    return promise;
  }

  #repeat(delayMs: number, everyMs: number, work: () => Promise<unknown>): void {
    setTimeout(() => {
      setInterval(() => work().catch((error) => this.#failed(error)), everyMs);
      work().catch((error) => this.#failed(error));
    }, delayMs);
  }

  #failed(error: Error): void {
    this.#diary.failures.push(`node ${this.#id}: ${error.message}`);
  }

  #report(socket: string) {
    return {
      id: this.#id,
      address: `unix://${socket}`,
      hostname: this.#id,
      machineId: `machine-of-${this.#id}`,
      kernel: '6.12.0',
      architecture: 'amd64',
      cgroupVersion: 2,
      softwareVersion: '0.1.0',
      snapshotters: ['overlayfs', 'native'],
      runtimes: ['io.containerd.runc.v2'],
      labels: { zone: 'a' },
      capacity: { cpus: 16, memoryBytes: 1n << 36n, diskBytes: 1n << 40n },
    };
  }
}
