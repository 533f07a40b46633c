import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { isKind, messageOf, unimplemented } from '@longshore/errors';
import {
  endWithError,
  isOver,
  type Logger,
  type Peer,
  passOn,
  RawListener,
  readRequest,
} from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { isRetrySafe, type Revocations } from '@longshore/transport';
import type { AccessControl } from '../access/access-control.ts';
import { type Caller, encodeCaller } from '../access/caller.ts';
import { enteredContainer, enters } from '../access/host/entered-container.ts';
import type { EntryGuard } from '../access/host/entry-guard.ts';
import type { HostReason } from '../access/host/owns-host.ts';
import { judgeOf } from '../access/host/request-reason.ts';
import { changes, type RpcRule, rpcRuleOf } from '../access/rpc-rules.ts';
import type { StandingCall, StreamJudge } from '../access/stream-judge.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { addressOf, type CallRecord, grpcSubject, openCallRecord } from '../audit/call-record.ts';
import { grpcRefusal } from '../audit/grpc-refusal.ts';
import { isRefusal } from '../audit/is-refusal.ts';
import type { GatewayLimits } from '../limits/gateway-limits.ts';
import { pushback } from '../limits/limit-reached.ts';
import { closeSoon, letGo, limitRequestTime } from '../limits/request-deadline.ts';
import { requestIdOf } from '../request-id.ts';
import { callerHeaders, firstValue } from './caller-headers.ts';
import type { Destination, IncomingCall } from './destination.ts';
import { type Plan, planOf } from './owners.ts';
import { type ReadMessage, readFirstMessage, readMessage } from './read-message.ts';
import { textAt } from './request-fields.ts';
import { refuseReservedLabels, writesLabels } from './reserved-labels.ts';
import { stickyKey } from './sticky-key.ts';

/** More than one caller may have under way by default: what the others want of a connection waits at their end. */
const MAX_STREAMS = 2_000;

/** Of a request that is one message: up to here it goes on with its end, in one write, which the service reads at once. */
const MAX_GATHERED_BYTES = 64 * 1024;

export interface GatewayDoorOptions {
  access: Pick<AccessControl, 'authenticate' | 'authorize' | 'authorizeHost'>;
  destination: Destination;
  audit: AuditLog;
  limits: GatewayLimits;
  judge: Pick<StreamJudge, 'watch'>;
  entries: Pick<EntryGuard, 'authorize'>;
  /** Whose certificates are worthless. */
  revocations?: Revocations | undefined;
  log: Logger;
}

/** A call as it came. */
interface Arrival {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
  peer: Peer;
  requestId: string;
  /** Who makes it, once that is known. */
  caller?: Caller;
  /** It changes something, as far as is known. */
  changes?: boolean;
  /** The audit log has it. */
  isKept?: boolean;
}

/**
 * containerd's API at the fleet's edge, as raw HTTP/2: calls for a node's scope go to that node's agent, which is the
 * one door into it, the others to the part of the control plane that serves them. Each passes the same steps: who calls,
 * whether they may, and on, as the bytes that came. Requests that change something are read once on the way; streams and
 * reads are not.
 */
export function gatewayDoor({
  access,
  destination,
  audit,
  limits,
  judge: judgeOfStreams,
  entries,
  revocations,
  log,
}: GatewayDoorOptions): RawListener {
  async function pass(arrival: Arrival): Promise<void> {
    const { stream, headers, requestId } = arrival;
    const path = String(headers[':path']);
    const { rpc, plan } = await knownCall(arrival, path);
    arrival.changes = changes(rpc);
    if (!rpc.streams) limitRequestTime(stream, limits.requestTimeoutMs);
    limits.slowReaders.watch(stream, () => stream.close(constants.NGHTTP2_CANCEL));
    let read: Promise<ReadMessage> | undefined;
    const message = async () => {
      read ??= rpc.streams ? readFirstMessage(stream) : readMessage(stream);
      return (await read).message;
    };
    const namespace = firstValue(headers[Header.Namespace]);
    const about = rpc.namespaceAt ? textAt(await message(), rpc.namespaceAt) : namespace;
    if (arrival.caller) await access.authorize(arrival.caller, rpc.rule, about);
    // Of a stream that changes something, its first message says what it is about.
    const change = arrival.changes ? await message() : undefined;
    const judge = judgeOf(path);
    let hostReason: HostReason;
    if (judge && arrival.caller) {
      hostReason = judge(await message());
      if (hostReason) await access.authorizeHost(arrival.caller, namespace, hostReason);
    }
    if (writesLabels(path)) refuseReservedLabels(path, await message());
    const call: IncomingCall = { plan, headers, requestId, message };
    const to = await destination.of(call);
    if (enters(path) && arrival.caller) {
      const id = enteredContainer(path, await message());
      const entered = { namespace, node: to.node, id, requestId };
      if (id !== '') hostReason = (await entries.authorize(arrival.caller, entered)) ?? hostReason;
    }
    const record = arrival.changes
      ? await openRecord(arrival, path, { namespace: about, node: to.node, request: change })
      : undefined;
    const gathered = !read && !rpc.streams ? await readRequest(stream, MAX_GATHERED_BYTES) : undefined;
    const request = read ? (await read).request : gathered;
    await passOn(stream, callerHeaders(headers), {
      name: to.name,
      upstream: to.upstream,
      headers: {
        [Header.Node]: to.node,
        [Header.RequestId]: requestId,
        // The one that was judged, however often the header came.
        ...(namespace !== '' && { [Header.Namespace]: namespace }),
        ...(arrival.caller && callerTo(plan, arrival.caller)),
      },
      takeTrailers: (trailers) => {
        record?.seeTrailers(trailers);
        takeTrailers(trailers);
      },
      retrySafe: isRetrySafe(path),
      ...(plan.isSticky && { sticky: stickyKey(stream.session) }),
      ...(request && { request }),
      onStart: (stop) => watch(arrival, { rule: rpc.rule, namespace: about, hostReason }, stop),
    });
  }

  /** Has a call end when it lasts longer than its caller's right to it. */
  function watch(
    arrival: Arrival,
    by: Pick<StandingCall, 'rule' | 'namespace' | 'hostReason'>,
    stop: (error: unknown) => void,
  ): void {
    const { stream, caller, headers, peer } = arrival;
    if (!caller || caller.kind === 'local' || isOver(stream)) return;
    const { authorization } = headers;
    const end = (error: unknown) => {
      audit.refused(grpcRefusal({ ...arrival, session: stream.session }, error));
      log.info({ request_id: arrival.requestId, caller: caller.name, error: messageOf(error) }, 'call ended');
      stop(error);
      closeSoon(stream);
    };
    stream.once('close', judgeOfStreams.watch({ ...by, caller, authorization, peer: () => peer, end }));
  }

  /** Throws LimitReached for one who asks too much. */
  async function admit(caller: Caller, stream: ServerHttp2Stream): Promise<void> {
    const release = await limits.callers.admit(caller);
    if (isOver(stream)) release();
    else stream.once('close', release);
  }

  /** Last of all: what is kept is passed on. */
  function openRecord(
    arrival: Arrival,
    path: string,
    { namespace, node, request }: { namespace: string; node: string; request: Uint8Array | undefined },
  ): Promise<CallRecord> {
    arrival.isKept = true;
    const entry = {
      requestId: arrival.requestId,
      caller: arrival.caller?.name ?? '',
      address: addressOf(arrival.stream.session),
      action: path.slice(1),
      namespace,
      node,
      subject: grpcSubject(path, request),
    };
    return openCallRecord(audit, entry, arrival.stream);
  }

  /** Throws Unauthenticated and PermissionDenied before Unimplemented: what there is, is not for strangers to find out. */
  async function knownCall(arrival: Arrival, path: string): Promise<{ rpc: RpcRule; plan: Plan }> {
    const rpc = rpcRuleOf(path);
    if (rpc?.rule.on !== 'nothing') {
      arrival.caller = await access.authenticate(arrival.peer, arrival.headers.authorization);
      await admit(arrival.caller, arrival.stream);
    }
    const plan = planOf(path);
    if (rpc && plan) return { rpc, plan };
    throw unimplemented(`unknown service ${path.slice(1, path.lastIndexOf('/'))}`);
  }

  async function answer(arrival: Arrival): Promise<void> {
    try {
      await pass(arrival);
    } catch (error) {
      const { headers, requestId, caller } = arrival;
      if (!arrival.isKept && (arrival.changes || isRefusal(error)))
        audit.refused(grpcRefusal({ ...arrival, session: arrival.stream.session }, error));
      const method = headers[':path'];
      log.info(
        { request_id: requestId, caller: caller?.name, method, error: messageOf(error) },
        'call refused',
      );
      if (isKind(error, 'Unauthenticated')) limits.connections.stranger(arrival.stream);
      endWithError(arrival.stream, error, pushback(error));
      letGo(arrival.stream);
    }
  }

  const onCall = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer) =>
    void answer({ stream, headers, peer, requestId: requestIdOf(headers[Header.RequestId]) });
  // Nodes too are told by `access` that they have no business here.
  return new RawListener(onCall, log, {
    revocations,
    admits: () => true,
    strangers: true,
    maxStreams: MAX_STREAMS,
    onServer: (server) => limits.connections.watch(server),
    onRefused: ({ session, headers = {}, error }) => audit.refused(grpcRefusal({ session, headers }, error)),
  });
}

/** The gateway's own server needs to know more of a caller than others. */
function callerTo({ owner, isOwn }: Plan, caller: Caller): Record<string, string> {
  const details = isOwn && owner === 'gateway' ? { [Header.CallerDetails]: encodeCaller(caller) } : {};
  return { [Header.Caller]: caller.name, ...details };
}

/** What parts tell one another in trailers is not for callers: at the edge events come by `Subscribe`. */
function takeTrailers(trailers: IncomingHttpHeaders): void {
  delete trailers[Header.EventBin];
  delete trailers[Header.Collected];
  delete trailers[Header.RecordBin];
}
