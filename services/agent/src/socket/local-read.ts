import type { IncomingHttpHeaders } from 'node:http2';
import { failedPrecondition } from '@longshore/errors';
import { type KeepAnswer, type ListPart, listPartOf, type Resume } from '@longshore/kit';
import { parseIdentifier } from '@longshore/oci';
import { Header } from '@longshore/proto/headers';
import type { Message } from './grpc-message.ts';

/** Who asks: this node, in a namespace. */
export class Caller {
  readonly #headers: IncomingHttpHeaders;

  constructor(headers: IncomingHttpHeaders) {
    this.#headers = headers;
  }

  /** Throws FailedPrecondition without a namespace header, InvalidArgument for one that is no identifier. */
  get namespace(): string {
    const namespace = namespaceOf(this.#headers);
    if (namespace === '') throw failedPrecondition('namespace is required');
    return parseIdentifier(namespace, 'namespace');
  }

  /** Of a list. Throws InvalidArgument. */
  get listPart(): ListPart {
    return listPartOf((name) => [this.#headers[name]].flat()[0]);
  }
}

/** What becomes of a call: the messages of its answer, or it is passed on to the service that has the record. */
export type Outcome = readonly Message[] | Streamed | PassOn;

/** An answer that is too long to be held; the call ends as the messages do. */
export interface Streamed {
  messages: AsyncIterable<Message>;
}

export interface PassOn {
  /** Sees the answer that the call then gets. */
  keepAnswer?: KeepAnswer;
  /** Lets another replica go on where one was cut. */
  resume?: Resume;
}

export const PASS_ON: PassOn = {};

/** Answers one method from what this node has. Throws the errors that the owning service would. */
export type LocalRead = (request: Uint8Array, caller: Caller) => Outcome | Promise<Outcome>;

/** By method path, e.g. `/containerd.services.images.v1.Images/Get`. */
export type LocalReads = ReadonlyMap<string, LocalRead>;

/** Empty without one. Node joins what is repeated on the wire; Go clients put the newest first. */
export function namespaceOf(headers: IncomingHttpHeaders): string {
  const value = headers[Header.Namespace];
  const [namespace = ''] = (Array.isArray(value) ? value[0] : value)?.split(', ', 1) ?? [];
  return namespace;
}
