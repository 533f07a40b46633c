import type { WebSocket } from 'ws';
import { problemOf } from '../problem.ts';
import {
  Channel,
  type ClientMessage,
  frame,
  parseClientMessage,
  type StatusMessage,
} from './channel-protocol.ts';

/** What a process has not taken yet. Above it nothing more is read from the socket. */
const MAX_WAITING_BYTES = 1024 ** 2;
/** In milliseconds. */
export interface Patience {
  pingEvery: number;
  /** Neither an answer to a ping nor a message that was taken in this time: nobody is there. */
  silence: number;
}

const PATIENCE: Patience = { pingEvery: 20_000, silence: 60_000 };

const CloseCode = { Normal: 1000, PolicyViolation: 1008, InternalError: 1011 } as const;

/** A client at a process: its input at the speed of the process, the process's output at the speed of the client. */
export class ProcessSocket {
  readonly #socket: WebSocket;
  readonly #requestId: string;
  readonly #patience: Patience;
  readonly #gone = new AbortController();
  readonly #waiting: ClientMessage[] = [];
  #waitingBytes = 0;
  #failure: unknown;
  #isOver = false;
  #wake: () => void = () => undefined;
  #heardAt = performance.now();

  /** To be called before anything is waited for: messages may be here already. */
  constructor(socket: WebSocket, requestId: string, patience = PATIENCE) {
    this.#socket = socket;
    this.#requestId = requestId;
    this.#patience = patience;
    const pinging = setInterval(() => this.#ping(), patience.pingEvery).unref();
    socket.on('message', (data, isBinary) => this.#take(data as Buffer, isBinary));
    socket.on('pong', () => this.#hear());
    socket.once('close', () => {
      clearInterval(pinging);
      this.#gone.abort();
      this.#wake();
    });
  }

  /** Aborts when the client has gone. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** What the client says, until it goes. Throws InvalidArgument for what the protocol does not have. */
  async *messages(): AsyncGenerator<ClientMessage> {
    while (!this.gone.aborted) {
      if (this.#failure) throw this.#failure;
      const message = this.#waiting.shift();
      if (message) {
        this.#waitingBytes -= sizeOf(message);
        if (this.#socket.isPaused && this.#waitingBytes < MAX_WAITING_BYTES) this.#resume();
        yield message;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Resolves when the client's side has taken it, or has gone. */
  async send(channel: number, data: Uint8Array): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    await new Promise<void>((resolve) => this.#socket.send(frame(channel, data), () => resolve()));
    this.#hear();
  }

  async tell(status: StatusMessage): Promise<void> {
    await this.send(Channel.Status, Buffer.from(JSON.stringify(status)));
  }

  /** Ends the talk in order. */
  close(): void {
    this.#end(CloseCode.Normal);
  }

  /** Says what has gone wrong, and ends the talk. */
  async fail(error: unknown): Promise<void> {
    const problem = problemOf(error, this.#requestId);
    await this.tell({ type: 'problem', problem });
    const code = problem.status < 500 ? CloseCode.PolicyViolation : CloseCode.InternalError;
    this.#end(code, problem.kind);
  }

  /** The client's last word is still to be read, however much comes before it. */
  #end(code: number, reason?: string): void {
    this.#isOver = true;
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  #take(data: Buffer, isBinary: boolean): void {
    this.#hear();
    if (this.#isOver || this.#failure) return;
    try {
      const message = parseClientMessage(data, isBinary);
      this.#waiting.push(message);
      this.#waitingBytes += sizeOf(message);
    } catch (error) {
      this.#failure ??= error;
    }
    if (this.#waitingBytes >= MAX_WAITING_BYTES) this.#socket.pause();
    this.#wake();
  }

  #resume(): void {
    this.#hear();
    this.#socket.resume();
  }

  #hear(): void {
    this.#heardAt = performance.now();
  }

  /** While its messages wait for the process, a client's answers to pings wait behind them. */
  #ping(): void {
    if (this.#socket.isPaused) return;
    if (performance.now() - this.#heardAt > this.#patience.silence) this.#socket.terminate();
    else this.#socket.ping();
  }
}

/** With something for the message itself, lest there be any number of empty ones. */
function sizeOf(message: ClientMessage): number {
  return 64 + (message.kind === 'stdin' ? message.data.length : 0);
}
