import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { messageOf, unimplemented } from '@longshore/errors';
import {
  endWithError,
  type Logger,
  type OnCall,
  passOn,
  RawListener,
  type Route,
  readRequest,
  replayAnswer,
  type Upstream,
} from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { type AnswerCache, MAX_ANSWER_BYTES } from './answer-cache.ts';
import { type Keeper, memoryOf } from './remembered.ts';
import { type Owner, ownerOf } from './routes.ts';

/** A question about one record names it, and little else. */
const MAX_QUESTION_BYTES = 16 * 1024;

export interface NodeDoorOptions {
  nodeId: string;
  upstreams: Record<Owner, Upstream>;
  answers: Record<Keeper, AnswerCache>;
  /** Binary envelopes of events that a call through this door caused. */
  onEvents(envelopes: Uint8Array[]): void;
  log: Logger;
}

/**
 * The one way into a node's scope: containerd's API as raw HTTP/2, passed to whoever owns each service. Every call
 * gets the node's own scope, whatever its caller says. Questions that were asked before are answered here.
 */
export function nodeDoor(options: NodeDoorOptions): RawListener {
  const onCall: OnCall = (stream, headers) => {
    const path = String(headers[':path']);
    const owner = ownerOf(path);
    if (owner === undefined) {
      endWithError(stream, unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`));
      return;
    }
    const route = routeTo(owner, firstValue(headers[Header.Namespace]), options);
    answer(stream, headers, route, options).catch((error) => {
      options.log.debug({ path, error: messageOf(error) }, 'call ended early');
    });
  };
  return new RawListener(onCall, options.log);
}

function routeTo(
  owner: Owner,
  namespace: string,
  { nodeId, upstreams, answers, onEvents }: NodeDoorOptions,
): Route {
  return {
    name: owner === 'agent' ? 'agent' : `service ${JSON.stringify(owner)}`,
    upstream: upstreams[owner],
    headers: { [Header.Node]: nodeId },
    takeTrailers: (trailers) => {
      onEvents(takeEvents(trailers));
      if (!takeCollected(trailers)) return;
      for (const cache of Object.values(answers)) cache.forget(namespace);
    },
  };
}

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  route: Route,
  { answers }: NodeDoorOptions,
): Promise<void> {
  const path = String(headers[':path']);
  const namespace = firstValue(headers[Header.Namespace]);
  const memory = memoryOf(path);
  if (memory === undefined || memory.kind === 'harmless' || namespace === '')
    return passOn(stream, headers, route);
  const cache = answers[memory.keeper];
  if (memory.kind === 'change') {
    cache.forget(namespace);
    const forget = (trailers: IncomingHttpHeaders) => {
      cache.forget(namespace);
      route.takeTrailers?.(trailers);
    };
    stream.once('close', () => cache.forget(namespace));
    return passOn(stream, headers, { ...route, takeTrailers: forget });
  }
  const request = await readRequest(stream, MAX_QUESTION_BYTES);
  if (!request.isWhole) return passOn(stream, headers, { ...route, request });
  const question = { path, namespace, body: request.bytes };
  const known = cache.find(question);
  if (known) return replayAnswer(stream, known);
  const { keep } = cache.expect(question);
  return passOn(stream, headers, { ...route, request, keepAnswer: { maxBytes: MAX_ANSWER_BYTES, keep } });
}

/** The values of a repeated binary header are joined by commas, which base64 does not use. */
function takeEvents(trailers: IncomingHttpHeaders): Uint8Array[] {
  const value = trailers[Header.EventBin];
  if (value === undefined) return [];
  delete trailers[Header.EventBin];
  const parts = [value].flat().flatMap((part) => part.split(','));
  return parts.map((part) => Buffer.from(part.trim(), 'base64'));
}

function takeCollected(trailers: IncomingHttpHeaders): boolean {
  const hasCollected = trailers[Header.Collected] !== undefined;
  delete trailers[Header.Collected];
  return hasCollected;
}

/** Node joins what is repeated on the wire; Go clients put the newest first. */
function firstValue(header: string | string[] | undefined): string {
  return [header].flat()[0]?.split(', ', 1)[0] ?? '';
}
