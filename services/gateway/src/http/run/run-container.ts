import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type ErrorKind, failedPrecondition, invalidArgument, LongshoreError } from '@longshore/errors';
import { parsePlatform, STOP_SIGNAL_LABEL } from '@longshore/oci';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Leases } from '@longshore/proto/containerd/services/leases/v1/leases';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import { withLease } from '@longshore/transfer';
import type { NodeConnection } from '../../nodes/node-connection.ts';
import type { Backends } from '../backends.ts';
import { pullEvents } from '../pull-events.ts';
import type { RequestCall } from '../request-call.ts';
import type { ServerSentEvent } from '../server-sent-events.ts';
import { exitToJson } from '../tasks/exit-json.ts';
import { OutputDecoder } from '../tasks/output-text.ts';
import { signalOf } from '../tasks/signal.ts';
import { type NodeImage, nodeImage } from './node-image.ts';
import type { RunRequest } from './run-request.ts';
import { runSpec } from './run-spec.ts';

const GRACE_MS = 10_000;
/** For what is left to be done when the caller has gone. */
const CLEAN_UP_MS = 60_000;
const SIGKILL = 9;

/** Where and as what a container runs. */
export interface RunPlace {
  namespace: string;
  node: string;
  /** Of the node, as images name it. */
  architecture: string;
  agent: Pick<NodeConnection, 'client'>;
  /** Normalised. */
  image: string;
  id: string;
  call: RequestCall;
}

/**
 * Runs a container to its end, or, detached, to its start; events `pull`, `created`, `started`, `output`, `exited`, `removed`. One who stops
 * reading before it has started leaves nothing of it; later it goes on, unless it is to be removed: then it is stopped and removed.
 */
export async function* runContainer(
  backends: Backends,
  request: RunRequest,
  place: RunPlace,
): AsyncGenerator<ServerSentEvent> {
  const image = yield* readyImage(backends, request, place);
  const run = new Run(place, request);
  try {
    await run.create(image);
    yield { event: 'created', data: { id: place.id, node: place.node, image: image.name } };
    const pid = await run.start();
    yield { event: 'started', data: { pid } };
    if (request.detach) return;
    yield* run.outputs();
    if (!request.rm) return;
    await run.remove();
    yield { event: 'removed', data: { id: place.id } };
  } finally {
    await run.leave();
  }
}

async function* readyImage(
  { fleetImages }: Backends,
  request: RunRequest,
  { node, architecture, agent, image, call }: RunPlace,
): AsyncGenerator<ServerSentEvent, NodeImage> {
  const { pull = 'missing', snapshotter = 'overlayfs', platform: wanted } = request;
  const { username = '', password = '', plain_http: plainHttp = false } = request;
  const platform = parsePlatform(wanted ?? `linux/${architecture}`);
  const find = () => nodeImage(agent, image, { platform, snapshotter }, call);
  const known = pull === 'always' ? undefined : await find();
  if (known) return known;
  const subject = `image ${JSON.stringify(image)} on node ${JSON.stringify(node)}`;
  if (pull === 'never') throw failedPrecondition(`${subject}: is not there, or not unpacked`);
  const order = {
    reference: image,
    nodes: [node],
    platform: wanted ?? '',
    snapshotter,
    username,
    password,
    plainHttp,
  };
  for await (const { event, data } of pullEvents(fleetImages.pull(order, call))) {
    if (event === 'progress') yield { event: 'pull', data };
    else requireInstalled(data as PullReport);
  }
  const pulled = await find();
  if (!pulled) throw failedPrecondition(`${subject}: is gone again`);
  return pulled;
}

interface PullReport {
  nodes: { ok: boolean; error?: { kind: ErrorKind; detail: string } }[];
}

function requireInstalled({ nodes }: PullReport): void {
  for (const { error } of nodes) if (error) throw new LongshoreError(error.kind, error.detail);
}

/** The states: nothing → created → started → removed. */
class Run {
  readonly #place: RunPlace;
  readonly #request: RunRequest;
  #isMade = false;
  #isStarted = false;
  #isOver = false;

  constructor(place: RunPlace, request: RunRequest) {
    this.#place = place;
    this.#request = request;
  }

  async create(image: NodeImage): Promise<void> {
    const { id, agent, call } = this.#place;
    const { snapshotter = 'overlayfs', terminal = false, stdin = false } = this.#request;
    const snapshots = agent.client(Snapshots);
    await withLease(agent.client(Leases), call, async (leased) => {
      await snapshots.prepare({ snapshotter, key: id, parent: image.parent }, leased);
      try {
        const container = await this.#record(image, leased);
        await agent.client(Containers).create({ container }, leased);
        this.#isMade = true;
      } catch (error) {
        await snapshots.remove({ snapshotter, key: id }, this.#afterwards()).catch(() => undefined);
        throw error;
      }
    });
    await agent.client(StdioService).create({ containerId: id, terminal, stdin }, call);
  }

  async #record({ name, config }: NodeImage, call: CallOptions) {
    const { namespace, architecture, agent, id } = this.#place;
    const { snapshotter = 'overlayfs', runtime = 'io.containerd.runc.v2', labels = {} } = this.#request;
    const stopSignal = this.#request.stop_signal ?? config.config?.StopSignal;
    const wanted = { snapshotter, key: id, user: this.#request.user ?? (config.config?.User || '0') };
    const user = await agent.client(StdioService).findUser(wanted, call);
    const value = runSpec({ namespace, id, architecture, config, user }, this.#request);
    return {
      id,
      image: name,
      labels: { ...config.config?.Labels, ...labels, ...(stopSignal && { [STOP_SIGNAL_LABEL]: stopSignal }) },
      runtime: { name: runtime },
      spec: { typeUrl: JsonTypeUrl.Spec, value },
      snapshotter,
      snapshotKey: id,
    };
  }

  /** Answers the pid. */
  async start(): Promise<number> {
    const { id, agent, call } = this.#place;
    const { pid } = await agent.client(Tasks).start({ containerId: id }, call);
    this.#isStarted = true;
    return pid;
  }

  /** All that it writes, and how it ends. */
  async *outputs(): AsyncGenerator<ServerSentEvent> {
    const { id, agent, call } = this.#place;
    const start = { message: { case: 'start' as const, value: { containerId: id, logs: true } } };
    const decoder = new OutputDecoder();
    for await (const { message } of agent.client(StdioService).attach(endless(start, call.signal), call)) {
      if (message.case === 'output') yield { event: 'output', data: decoder.toJson(message.value) };
      if (message.case !== 'exit') continue;
      this.#isOver = true;
      yield { event: 'exited', data: exitToJson({ ...message.value, exitStatus: message.value.status }) };
    }
  }

  async remove(): Promise<void> {
    const { id, agent } = this.#place;
    const { snapshotter = 'overlayfs' } = this.#request;
    const call = this.#afterwards();
    const grace = durationFromMs(this.#isStarted && !this.#isOver ? GRACE_MS : 0);
    const signal = this.#isStarted ? 0 : SIGKILL;
    const stopped = agent.client(TaskService).stop({ containerId: id, signal, grace, delete: true }, call);
    // There is none when it could not be made.
    await stopped.catch(() => undefined);
    await agent.client(Containers).delete({ id }, call);
    this.#isMade = false;
    await agent.client(Snapshots).remove({ snapshotter, key: id }, call);
  }

  /** Undoes what is half-done, and what is to be removed. Never throws. */
  async leave(): Promise<void> {
    const isWanted = this.#isStarted && !this.#request.rm;
    if (this.#isMade && !isWanted) await this.remove().catch(() => undefined);
  }

  /** The caller may have gone. */
  #afterwards(): CallOptions {
    return { headers: this.#place.call.headers, deadline: new Date(Date.now() + CLEAN_UP_MS) };
  }
}

/** Its end would be that of the call's input. */
async function* endless<T>(first: T, signal: AbortSignal): AsyncGenerator<T> {
  yield first;
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Throws InvalidArgument for wishes that contradict one another. */
export function requireSense({ rm, detach, stop_signal: stopSignal }: RunRequest): void {
  signalOf(stopSignal);
  if (rm && detach) throw invalidArgument('rm with detach: nobody would be there to remove it');
}
