import { create, toBinary } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';
import { Metadata } from '@grpc/grpc-js';
import { failedPrecondition, LongshoreError } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import { FLEET, Header } from '@longshore/proto/headers';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { LOCAL, type Peer } from '@longshore/transport';
import type { Logger } from '../logger.ts';
import type { NodeRecord } from '../node-record.ts';
import type { Scope } from '../scope.ts';
import { checkNode, namesCallers } from './access.ts';

/** The part of grpc-js's `Metadata` that reads the headers of a call. */
export interface HeadersRead {
  get(name: string): readonly (string | Buffer)[];
}

/** The part of grpc-js's server calls that is the same for unary and streaming ones. */
export interface RawCall {
  readonly metadata: HeadersRead;
  getPath(): string;
  getDeadline(): Date | number;
  /** Of streams. */
  sendMetadata?(metadata: Metadata): void;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** A lifecycle event that a call caused. */
export interface CausedEvent {
  namespace: string;
  topic: string;
  /** Full protobuf name of the payload. */
  typeUrl: string;
  payload: Uint8Array;
}

/** What goes along when a handler calls another service on behalf of its caller. */
export interface OutgoingCall {
  signal: AbortSignal;
  deadline: Date | undefined;
  headers: Record<string, string>;
}

/** Of a record in a trailer: what most have, and a few of them fit into a block of headers. */
const MAX_RECORD_VALUE_BYTES = 24 * 1024;

/** One for all: grpc-js tells of the end of every call in this way, and a fresh error is not cheap. */
const CANCELED = new LongshoreError('Canceled', 'the call has ended: canceled');

/** One incoming call: who asks, in which scope, for how long. */
export class Call {
  /** Full method path, e.g. `/containerd.services.images.v1.Images/Get`. */
  readonly method: string;
  /** Aborts when the caller cancels, goes away, or its deadline passes. */
  readonly signal: AbortSignal;
  readonly deadline: Date | undefined;
  readonly requestId: string;
  /** Sent with the status of the call. */
  readonly trailers = new Metadata();
  readonly #headers: HeadersRead;
  readonly #parentLog: Logger;
  readonly #findPeer: () => Peer;
  readonly #raw: RawCall;
  /** Of the caller's certificate; undefined when it showed none. */
  readonly certificateSerial: string | undefined;
  #peer: Peer | undefined;
  #log: Logger | undefined;

  /** `findPeer` throws Unauthenticated or Unavailable when nobody can be named. */
  constructor(
    raw: RawCall,
    requestId: string,
    log: Logger,
    findPeer: () => Peer = () => LOCAL,
    certificateSerial?: string,
  ) {
    const controller = new AbortController();
    raw.on('cancelled', () => controller.abort(CANCELED));
    this.#raw = raw;
    this.method = raw.getPath();
    this.signal = controller.signal;
    this.deadline = deadlineOf(raw);
    this.requestId = requestId;
    this.#parentLog = log;
    this.#headers = raw.metadata;
    this.#findPeer = findPeer;
    this.certificateSerial = certificateSerial;
  }

  /** Who calls. The server has asked already when a handler does. */
  get peer(): Peer {
    this.#peer ??= this.#findPeer();
    return this.#peer;
  }

  /** Who made the call at the fleet's edge, e.g. `user/alice`; undefined for one that did not come through the gateway. */
  get caller(): string | undefined {
    return namesCallers(this.peer) ? this.header(Header.Caller) : undefined;
  }

  /** Tells the caller of a stream, before there is anything to send, that nothing from now on is missed. */
  begin(): void {
    this.#raw.sendMetadata?.(new Metadata());
  }

  /** Whether it says that it came through the gateway, to a node too: whoever says so has less for it, so anyone may. */
  get isFromEdge(): boolean {
    return this.header(Header.Caller) !== undefined;
  }

  /** Throws PermissionDenied when the caller is a node, and another one than this. */
  requireNode(id: string): void {
    checkNode(this.peer, id, 'the request');
  }

  /** Whether lines of this level are written: if not, `log` need not be made. */
  logs(level: 'debug' | 'info' | 'error'): boolean {
    return this.#parentLog.isLevelEnabled(level);
  }

  /** Its lines carry the request's id. Most calls log nothing, so it is made on first use. */
  get log(): Logger {
    const request_id = this.requestId;
    // Not before the server has found out who calls: that may be refused, and logged.
    const caller = this.#peer && this.caller;
    this.#log ??= this.#parentLog.child({ request_id, ...(caller !== undefined && { caller }) });
    return this.#log;
  }

  /**
   * The first value of a header: Go clients put the newest first. Node joins what is repeated on the wire with `, `,
   * which no value that is asked for here contains.
   */
  header(name: string): string | undefined {
    return this.#headers.get(name)[0]?.toString().split(', ', 1)[0];
  }

  /** Throws FailedPrecondition without a namespace header, InvalidArgument for one that is no identifier. */
  get namespace(): string {
    const namespace = this.header(Header.Namespace);
    if (!namespace) throw failedPrecondition('namespace is required');
    return parseIdentifier(namespace, 'namespace');
  }

  /** A node's id, or {@link FLEET}. Throws InvalidArgument for what can be no node's id. */
  get node(): string {
    const node = this.header(Header.Node) || FLEET;
    return node === FLEET ? FLEET : parseIdentifier(node, 'node');
  }

  get scope(): Scope {
    return { namespace: this.namespace, node: this.node };
  }

  get lease(): string | undefined {
    return this.header(Header.Lease) || undefined;
  }

  /** Tells the caller's node of an event that this call caused, for the subscribers of its node socket. */
  reportEvent(event: CausedEvent): void {
    const envelope = create(EnvelopeSchema, {
      timestamp: timestampNow(),
      namespace: event.namespace,
      topic: event.topic,
      event: { typeUrl: event.typeUrl, value: event.payload },
    });
    this.trailers.add(Header.EventBin, Buffer.from(toBinary(EnvelopeSchema, envelope)));
  }

  /** Gives the caller's node a record that this call made, changed or removed, for its copy; without a value that is large. */
  reportRecord(record: NodeRecord): void {
    if (this.node === FLEET) return;
    const { value, ...place } = record;
    const isSmall = value.byteLength <= MAX_RECORD_VALUE_BYTES;
    const message = create(RecordSchema, isSmall ? record : place);
    this.trailers.add(Header.RecordBin, Buffer.from(toBinary(RecordSchema, message)));
  }

  /** Options for a call to another service: same scope, lease, deadline, cancellation and request id. */
  forward(): OutgoingCall {
    const headers: Record<string, string> = { [Header.RequestId]: this.requestId };
    for (const name of [Header.Namespace, Header.Lease, Header.Node]) {
      const value = this.header(name);
      if (value !== undefined) headers[name] = value;
    }
    return { signal: this.signal, deadline: this.deadline, headers };
  }
}

function deadlineOf(raw: RawCall): Date | undefined {
  const deadline = raw.getDeadline();
  if (deadline instanceof Date) return deadline;
  return Number.isFinite(deadline) ? new Date(deadline) : undefined;
}
