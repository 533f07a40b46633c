import { setTimeout as delay } from 'node:timers/promises';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import {
  type ErrorKind,
  failedPrecondition,
  invalidArgument,
  isKind,
  LongshoreError,
} from '@longshore/errors';
import { formatPlatform, REMOVE_LABEL, RESTART_STATUS_LABEL, Removal } from '@longshore/oci';
import { type Container, Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { type AttachResponse, StdioService } from '@longshore/proto/longshore/node/v1/stdio';
import { TaskService } from '@longshore/proto/longshore/node/v1/tasks';
import type { CallOptions } from '@longshore/rpc';
import type { NodeConnection } from '../../nodes/node-connection.ts';
import type { Backends } from '../backends.ts';
import { createContainer, type JudgeContainer } from '../containers/create-container.ts';
import type { WantedPlatform } from '../containers/image-platform.ts';
import { readImage } from '../containers/unpacked-image.ts';
import { pullEvents } from '../pull-events.ts';
import type { RequestCall } from '../request-call.ts';
import type { ServerSentEvent } from '../server-sent-events.ts';
import { exitToJson } from '../tasks/exit-json.ts';
import { OutputDecoder } from '../tasks/output-text.ts';
import { timeToJson } from '../time.ts';
import { keptAnswer, type MadeContainer, type RunKeeping } from './run-keeping.ts';
import type { RunRequest } from './run-request.ts';

const GRACE_MS = 10_000;
/** For what is left to be done when the caller has gone. */
const CLEAN_UP_MS = 60_000;
const SIGKILL = 9;
/** For a node to remove a container that has ended: it does so at once, unless it is away. */
const REMOVAL_MS = 20_000;
/** Between two questions whether it has. */
const MAX_WAIT_MS = 500;
const FOR_ONE_TASK = { [REMOVE_LABEL]: Removal.AfterExit };

/** Where and as what a container runs. */
export interface RunPlace {
  node: string;
  /** Of the image. */
  platform: WantedPlatform;
  agent: Pick<NodeConnection, 'client'>;
  /** Normalised. */
  image: string;
  id: string;
  call: RequestCall;
}

/**
 * Runs a container to its end, or, detached, to its start; events `pull`, `created`, `started`, `output`, `exited`, `removed`. One who stops
 * reading before it has started leaves nothing of it; later it goes on, unless it is to be removed: then it is stopped and removed. What is to be
 * removed at its end is removed by its node, whatever becomes of this process. A repetition is told of the container that the first request has
 * made, and so whoever can repeat may leave: the container goes on.
 */
export async function* runContainer(
  backends: Backends,
  request: RunRequest,
  place: RunPlace,
  judge: JudgeContainer,
  keeping: RunKeeping = {},
): AsyncGenerator<ServerSentEvent> {
  const { earlier } = keeping;
  const run = new Run(place, request, keeping);
  try {
    if (!earlier) yield* readyImage(backends, request, place);
    const { pid, ...made } = earlier ?? (await run.create(backends, judge));
    yield { event: 'created', data: made };
    const isGone = earlier !== undefined && (await run.find(earlier)) === 'gone';
    if (!isGone) {
      if (!request.detach) await run.attach();
      await run.start();
    }
    yield { event: 'started', data: { pid } };
    if (request.detach) return;
    if (!isGone) yield* run.outputs();
    if (!request.rm && !isGone) return;
    await run.removed();
    yield { event: 'removed', data: { id: place.id } };
  } finally {
    await run.leave();
  }
}

/** Has the node have the image, unpacked. */
async function* readyImage(
  { fleetImages }: Backends,
  { pull, snapshotter, username, password, plain_http: plainHttp }: RunRequest,
  place: RunPlace,
): AsyncGenerator<ServerSentEvent> {
  const { node, image, call } = place;
  if (pull !== 'always' && (await isUnpacked(place, snapshotter))) return;
  if (pull === 'never') {
    throw failedPrecondition(
      `image ${JSON.stringify(image)} on node ${JSON.stringify(node)}: is not there, or not unpacked`,
    );
  }
  const platform = formatPlatform(place.platform.platform);
  const order = { reference: image, nodes: [node], platform, snapshotter, username, password, plainHttp };
  for await (const { event, data } of pullEvents(fleetImages.pull(order, call))) {
    if (event === 'progress') yield { event: 'pull', data };
    else requireInstalled(data as PullReport);
  }
}

async function isUnpacked({ agent, image, platform, call }: RunPlace, snapshotter: string): Promise<boolean> {
  const clients = { images: agent.client(Images), content: agent.client(Content) };
  try {
    const { chainId } = await readImage(clients, call, image, platform);
    if (chainId !== '') await agent.client(Snapshots).stat({ snapshotter, key: chainId }, call);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound')) return false;
    throw error;
  }
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
  readonly #keeping: RunKeeping;
  #answers: AsyncIterator<AttachResponse> | undefined;
  /** By this request. */
  #isMade = false;
  #isStarted = false;
  #isOver = false;

  constructor(place: RunPlace, request: RunRequest, keeping: RunKeeping) {
    this.#place = place;
    this.#request = request;
    this.#keeping = keeping;
  }

  /** From its end on, repetitions are told of this container. */
  async create(backends: Backends, judge: JudgeContainer): Promise<MadeContainer> {
    const { id, node, image, agent, call } = this.#place;
    const { terminal, stdin } = this.#request;
    const container = await this.#createContainer(backends, judge);
    this.#isMade = true;
    call.signal.throwIfAborted();
    const { pid } = await agent.client(StdioService).create({ containerId: id, terminal, stdin }, call);
    const made = { id, node, image, pid, created_at: timeToJson(container.createdAt) ?? '' };
    try {
      await this.#keeping.claim?.keep(keptAnswer(made));
    } catch (error) {
      // What is there is the other's, who has the request by now.
      if (isKind(error, 'Conflict')) this.#isMade = false;
      throw error;
    }
    return made;
  }

  async #createContainer(backends: Backends, judge: JudgeContainer): Promise<Container> {
    const { id, node, image, call } = this.#place;
    const { rm, labels, ...rest } = this.#request;
    // Not to be cut in the middle: whether there is a container then, nobody could say.
    const uncut = { ...call, signal: new AbortController().signal };
    const wanted = { ...rest, labels: { ...labels, ...(rm && FOR_ONE_TASK) }, image, id };
    const create = () => createContainer(backends, uncut, node, wanted, judge);
    try {
      return await create();
    } catch (error) {
      if (!this.#keeping.isIdOfKey || !isKind(error, 'AlreadyExists')) throw error;
      // Of a gateway that was killed before it had told anyone: until then nothing is started.
      await this.remove();
      return create();
    }
  }

  /** What has become of a container that was made for the same request. */
  async find({ created_at: createdAt }: MadeContainer): Promise<'gone' | 'made' | 'started'> {
    const { id, agent, call } = this.#place;
    try {
      const { container } = await agent.client(Containers).get({ id }, call);
      if (timeToJson(container?.createdAt) !== createdAt) return 'gone';
      const { process } = await agent.client(Tasks).get({ containerId: id }, call);
      return process?.status === Status.CREATED ? 'made' : 'started';
    } catch (error) {
      if (isKind(error, 'NotFound')) return 'gone';
      throw error;
    }
  }

  /** To be asked for before the start: what is to be removed may be gone as soon as it has ended. */
  async attach(): Promise<void> {
    const { id, agent, call } = this.#place;
    const start = { message: { case: 'start' as const, value: { containerId: id, logs: true } } };
    const answers = agent.client(StdioService).attach(endless(start, call.signal), call);
    this.#answers = answers[Symbol.asyncIterator]();
    await this.#answers.next();
  }

  /** Of one request and its repetitions only one has it start. */
  async start(): Promise<void> {
    const { id, agent, call } = this.#place;
    const { earlier } = this.#keeping;
    if (earlier && (await this.find(earlier)) === 'started') return;
    try {
      await agent.client(Tasks).start({ containerId: id }, call);
    } catch (error) {
      if (!earlier || (await this.find(earlier)) !== 'started') throw error;
    }
    this.#isStarted = true;
  }

  /** All that it writes, and how it ends. */
  async *outputs(): AsyncGenerator<ServerSentEvent> {
    const decoder = new OutputDecoder();
    for await (const { message } of restOf(this.#answers)) {
      if (message.case === 'output') yield { event: 'output', data: decoder.toJson(message.value) };
      if (message.case !== 'exit') continue;
      this.#isOver = true;
      yield { event: 'exited', data: exitToJson({ ...message.value, exitStatus: message.value.status }) };
    }
  }

  /** Waits until its node has removed it, which an agent that knows nothing of that does not; then it is removed here. */
  async removed(): Promise<void> {
    const { id, agent, call } = this.#place;
    const containers = agent.client(Containers);
    const over = AbortSignal.any([call.signal, AbortSignal.timeout(REMOVAL_MS)]);
    const isGone = async () => {
      const answer = containers.get({ id }, { headers: call.headers, signal: over });
      return answer.then(
        () => false,
        (error) => isKind(error, 'NotFound'),
      );
    };
    for (let waitMs = 10; !over.aborted; waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)) {
      if (await isGone()) {
        this.#isMade = false;
        return;
      }
      await delay(waitMs, undefined, { signal: over }).catch(() => undefined);
    }
    call.signal.throwIfAborted();
    await this.remove();
  }

  async remove(): Promise<void> {
    const { id, agent } = this.#place;
    const { snapshotter } = this.#request;
    const call = this.#afterwards();
    const grace = durationFromMs(this.#isStarted && !this.#isOver ? GRACE_MS : 0);
    const signal = this.#isStarted ? 0 : SIGKILL;
    // There is no task when it could not be made.
    await unlessGone(agent.client(TaskService).stop({ containerId: id, signal, grace, delete: true }, call));
    await unlessGone(agent.client(Containers).delete({ id }, call));
    this.#isMade = false;
    // The collector may have been there before.
    await unlessGone(agent.client(Snapshots).remove({ snapshotter, key: id }, call));
  }

  /** Undoes what is half-done, and what is to be removed. Never throws. */
  async leave(): Promise<void> {
    await this.#answers?.return?.().catch(() => undefined);
    const { rm, detach } = this.#request;
    const { claim } = this.#keeping;
    const isWanted = this.#isStarted && (detach || !rm || claim !== undefined);
    try {
      if (this.#isMade && !isWanted) await this.remove();
      if (!this.#isStarted) await claim?.forget();
    } catch {
      // What is there yet is told of, or taken away, for a repetition.
    }
  }

  /** The caller may have gone. */
  #afterwards(): CallOptions {
    return { headers: this.#place.call.headers, deadline: new Date(Date.now() + CLEAN_UP_MS) };
  }
}

async function unlessGone(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
  }
}

/** Its end would be that of the call's input. */
async function* endless<T>(first: T, signal: AbortSignal): AsyncGenerator<T> {
  yield first;
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What an iterator has not given yet. */
async function* restOf<T>(iterator: AsyncIterator<T> | undefined): AsyncGenerator<T> {
  for (let next = await iterator?.next(); next && !next.done; next = await iterator!.next()) yield next.value;
}

/** Throws InvalidArgument for wishes that contradict one another. */
export function requireSense({ rm, labels }: Pick<RunRequest, 'rm' | 'labels'>): void {
  if (rm && labels?.[RESTART_STATUS_LABEL]) {
    throw invalidArgument(`rm with label ${JSON.stringify(RESTART_STATUS_LABEL)}: want one of them`);
  }
}
