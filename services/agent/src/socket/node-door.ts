import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { LongshoreError, messageOf, unimplemented } from '@longshore/errors';
import {
  answerHere,
  endWithError,
  type Logger,
  type OnCall,
  type Opener,
  passOn,
  RawListener,
  type Revocations,
  type Route,
  readRequest,
  type UnaryMethod,
} from '@longshore/kit';
import { ANY_TASK, Header } from '@longshore/proto/headers';
import type { NodeRecords } from '../records/node-records.ts';
import type { RecordKind } from '../records/record-kinds.ts';
import { changedKind } from './changes.ts';
import { answerCall, messageIn, streamAnswer } from './grpc-message.ts';
import { lastResort } from './last-resort.ts';
import { Caller, type LocalRead, type LocalReads, namespaceOf } from './local-read.ts';
import { nameNode } from './name-node.ts';
import { type Owner, ownerOf } from './routes.ts';

/** A question about records names one, or a few filters. */
const MAX_QUESTION_BYTES = 64 * 1024;

export interface NodeDoorOptions {
  nodeId: string;
  /** Whose calls over TCP are refused. */
  revocations?: Revocations;
  upstreams: Record<Owner, Opener>;
  /** A unary method of the agent's own, by its path: what its server serves, without the way there. */
  own?: (path: string) => UnaryMethod | undefined;
  /** What is answered here, without asking the owner. */
  reads: LocalReads;
  /** The same from what was last known: for those that the owner should be asked, and cannot be. */
  lastReads: LocalReads;
  records: DoorRecords;
  /** Ids of a namespace's tasks. */
  tasks(namespace: string): readonly string[];
  /** Binary envelopes of events that a call through this door caused. */
  onEvents(envelopes: Uint8Array[]): void;
  log: Logger;
}

/** The part of this node's records that calls through the door keep true. */
export type DoorRecords = Pick<NodeRecords, 'take' | 'caughtUp' | 'expectContent' | 'doubtChange'>;

/** Its callers go on when they are told of the commit, before the call has ended. */
const WRITE = '/containerd.services.content.v1.Content/Write';

/** A task may outlive its container: its owner is told, so that nothing goes that it has mounted. */
const DELETE_CONTAINER = '/containerd.services.containers.v1.Containers/Delete';

/** What fits into a header beside the others. */
const MAX_LIVE_TASKS_LENGTH = 16 * 1024;

/** Cancelled, DeadlineExceeded, Unavailable. */
const MAY_BE_LOST: ReadonlySet<string> = new Set(['1', '4', '14']);

/**
 * The one way into a node's scope: containerd's API as raw HTTP/2, passed to whoever owns each service. Every call
 * gets the node's own scope, whatever its caller says. Most reads are answered here, from this node's own records; those
 * that are not, when their owner cannot be reached or cannot say, from what was last known.
 */
export function nodeDoor(options: NodeDoorOptions): RawListener {
  const onCall: OnCall = (stream, headers) => {
    const path = String(headers[':path']);
    const owner = ownerOf(path);
    if (owner === undefined) {
      endWithError(stream, unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`));
      return;
    }
    const route = routeTo(owner, options);
    if (path === DELETE_CONTAINER) {
      route.headers = {
        ...route.headers,
        [Header.LiveTasks]: liveTasks(options.tasks(namespaceOf(headers))),
      };
    }
    const read = options.reads.get(path);
    const own = owner === 'agent' ? options.own?.(path) : undefined;
    const answer = read
      ? answerRead(stream, headers, route, read, options.lastReads.get(path))
      : own
        ? answerOwn(stream, headers, route, own, options.records)
        : passChange(stream, headers, route, options.records);
    answer.catch((error) => {
      options.log.debug({ path, error: messageOf(error) }, 'call ended early');
    });
  };
  return new RawListener(onCall, options.log, { revocations: options.revocations });
}

/** Passes on what is not a read, and sees to it that the records know what it has changed. */
function passChange(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
  records: DoorRecords,
): Promise<void> {
  const path = String(headers[':path']);
  if (path === WRITE) expectContent(stream, headers, route, records);
  const kind = changedKind(path);
  if (kind) doubtWhenCut(route, kind, namespaceOf(headers), records);
  return passOn(stream, headers, route);
}

/** Calls that are large, or that only a real server can judge, take the way over it. */
async function answerOwn(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
  method: UnaryMethod,
  records: DoorRecords,
): Promise<void> {
  const request = await readRequest(stream, MAX_QUESTION_BYTES);
  const message = request.isWhole ? decoded(method, request.bytes) : undefined;
  if (!message) return passChange(stream, headers, { ...route, request }, records);
  const kind = changedKind(String(headers[':path']));
  return answerHere(stream, headers, method, message, {
    ...route,
    takeTrailers: (trailers) => {
      if (kind && MAY_BE_LOST.has(String(trailers['grpc-status'])))
        records.doubtChange(kind, namespaceOf(headers));
      return route.takeTrailers?.(trailers);
    },
  });
}

function decoded(method: UnaryMethod, request: Buffer): unknown {
  const message = messageIn(request);
  if (!message) return undefined;
  try {
    return method.decode(message);
  } catch {
    return undefined;
  }
}

function routeTo(owner: Owner, { nodeId, upstreams, records, onEvents }: NodeDoorOptions): Route {
  return {
    name: owner === 'agent' ? 'agent' : `service ${JSON.stringify(owner)}`,
    upstream: upstreams[owner],
    headers: { [Header.Node]: nodeId },
    takeTrailers: (trailers) => {
      records.take(takeBinary(trailers, Header.RecordBin));
      onEvents(takeBinary(trailers, Header.EventBin));
      if (owner === 'agent') nameNode(trailers, nodeId);
      return takeCollected(trailers) ? records.caughtUp() : undefined;
    },
  };
}

function liveTasks(ids: readonly string[]): string {
  const named = ids.join();
  return named.length > MAX_LIVE_TASKS_LENGTH ? ANY_TASK : named;
}

function expectContent(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
  records: DoorRecords,
): void {
  const ended = records.expectContent(namespaceOf(headers));
  const { takeTrailers, upstream } = route;
  // What was never sent has made nothing: in an outage the copy goes on to answer.
  let isKnown = true;
  route.upstream = {
    get size() {
      return upstream.size ?? 1;
    },
    async open(sent, options) {
      const opened = await upstream.open(sent, options);
      isKnown = false;
      return opened;
    },
  };
  route.takeTrailers = (trailers) => {
    isKnown = true;
    return takeTrailers?.(trailers);
  };
  stream.once('close', () => ended(isKnown));
}

/** What a call that was sent has changed is not known when it ends without trailers: the caller hears of its end after. */
function doubtWhenCut(route: Route, kind: RecordKind, namespace: string, records: DoorRecords): void {
  const { takeTrailers, upstream } = route;
  let isKnown = true;
  route.upstream = {
    get size() {
      return upstream.size ?? 1;
    },
    async open(sent, options) {
      const opened = await upstream.open(sent, options);
      isKnown = false;
      opened.once('close', () => {
        const wasTaken = !opened.pending && opened.rstCode !== constants.NGHTTP2_REFUSED_STREAM;
        if (!isKnown && wasTaken) records.doubtChange(kind, namespace);
      });
      return opened;
    },
  };
  route.takeTrailers = (trailers) => {
    // Of the agent's own, it may be the catalogue's that is lost.
    isKnown = kind !== 'snapshot' || !MAY_BE_LOST.has(String(trailers['grpc-status']));
    return takeTrailers?.(trailers);
  };
}

async function answerRead(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
  read: LocalRead,
  lastRead: LocalRead | undefined,
): Promise<void> {
  const request = await readRequest(stream, MAX_QUESTION_BYTES);
  const passOnAsked = (more: Partial<Route> = {}) =>
    passOn(stream, headers, { ...route, ...more, retrySafe: true, request });
  const message = request.isWhole ? messageIn(request.bytes) : undefined;
  if (!message) return passOnAsked();
  try {
    const caller = new Caller(headers);
    const outcome = await read(message, caller);
    if ('length' in outcome) return answerCall(stream, outcome);
    if ('messages' in outcome) return streamAnswer(stream, outcome.messages);
    const last = lastRead && { lastResort: lastResort(stream, lastRead, message, caller) };
    return passOnAsked({ ...outcome, ...last });
  } catch (error) {
    if (error instanceof LongshoreError) return endWithError(stream, error);
    // A request that is no protobuf, or a copy that cannot be read: the owner knows what to say.
    return passOnAsked();
  }
}

/** The values of a repeated binary header are joined by commas, which base64 does not use. */
function takeBinary(trailers: IncomingHttpHeaders, name: string): Uint8Array[] {
  const value = trailers[name];
  if (value === undefined) return [];
  delete trailers[name];
  const parts = [value].flat().flatMap((part) => part.split(','));
  return parts.map((part) => Buffer.from(part.trim(), 'base64'));
}

function takeCollected(trailers: IncomingHttpHeaders): boolean {
  const hasCollected = trailers[Header.Collected] !== undefined;
  delete trailers[Header.Collected];
  return hasCollected;
}
