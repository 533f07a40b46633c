import { type ErrorKind, fromGrpcStatus } from '@longshore/errors';
import {
  type NodeProgress,
  PullResponse_Phase as Phase,
  type PullResponse,
} from '@longshore/proto/longshore/image/v1/fleet';
import {
  type BlobProgress,
  InstallResponse_Phase as InstallPhase,
} from '@longshore/proto/longshore/node/v1/images';
import type { ServerSentEvent } from './server-sent-events.ts';

const PHASES = {
  [Phase.UNSPECIFIED]: 'starting',
  [Phase.RESOLVING]: 'resolving',
  [Phase.FETCHING]: 'fetching',
  [Phase.INSTALLING]: 'installing',
  [Phase.DONE]: 'done',
} as const;

const INSTALL_PHASES = {
  [InstallPhase.UNSPECIFIED]: 'waiting',
  [InstallPhase.LINKING]: 'linking',
  [InstallPhase.UNPACKING]: 'unpacking',
  [InstallPhase.DONE]: 'done',
} as const;

/** Each answer as an event `progress`, and at the end one `report`: what became of every node. */
export async function* pullEvents(answers: AsyncIterable<PullResponse>): AsyncGenerator<ServerSentEvent> {
  let last: PullResponse | undefined;
  for await (const answer of answers) {
    last = answer;
    yield { event: 'progress', data: progressToJson(answer) };
  }
  const nodes = (last?.nodes ?? []).map(outcomeToJson);
  yield { event: 'report', data: { digest: last?.digest ?? '', nodes } };
}

function progressToJson({ phase, digest, blobs, nodes }: PullResponse) {
  return { phase: PHASES[phase], digest, blobs: blobs.map(blobToJson), nodes: nodes.map(nodeToJson) };
}

function nodeToJson(progress: NodeProgress) {
  const { phase = InstallPhase.UNSPECIFIED, layers = [] } = progress.progress ?? {};
  return {
    node: progress.node,
    phase: INSTALL_PHASES[phase],
    layers: layers.map(blobToJson),
    done: progress.done,
    ...errorToJson(progress),
  };
}

function outcomeToJson(progress: NodeProgress) {
  return { node: progress.node, ok: progress.done && progress.error === '', ...errorToJson(progress) };
}

function errorToJson({ error, code }: NodeProgress): { error?: { kind: ErrorKind; detail: string } } {
  return error === ''
    ? {}
    : { error: { kind: fromGrpcStatus({ code, message: error }).kind, detail: error } };
}

function blobToJson({ digest, offset, total, status }: BlobProgress) {
  return { digest, offset: Number(offset), total: Number(total), status };
}
