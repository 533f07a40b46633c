import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';

/** How often a server is asked for a sign of life, and how long it may take. */
export interface Pulse {
  everyMs: number;
  /** How often while no stream is open to any replica; a multiple of `everyMs`. */
  idleEveryMs: number;
  timeoutMs: number;
}

/** The kernel tells of a process on this machine that ends: this is for one that is stopped. */
export const LOCAL_PULSE: Pulse = { everyMs: 10_000, idleEveryMs: 10_000, timeoutMs: 5_000 };

/**
 * A machine that is lost without a word is noticed within some six seconds by those who call it, else within ten. A busy
 * one gets five seconds to answer.
 */
export const REMOTE_PULSE: Pulse = { everyMs: 500, idleEveryMs: 5_000, timeoutMs: 5_000 };

/**
 * The streams to all replicas of a server. While there are any, the pulse of each of its sessions is quick: those who
 * find one replica silent are to know of the others too.
 */
export class OpenStreams {
  #count = 0;

  get isNone(): boolean {
    return this.#count === 0;
  }

  begin(session: ClientHttp2Session, headers: OutgoingHttpHeaders): ClientHttp2Stream {
    const stream = session.request(headers, { endStream: false });
    this.#count++;
    stream.once('close', () => this.#count--);
    return stream;
  }
}

/** Ends a session whose server does not answer pings; `onSilent` hears of it before anybody else. */
export function watchPulse(
  session: ClientHttp2Session,
  { everyMs, idleEveryMs, timeoutMs }: Pulse,
  streams: OpenStreams,
  onSilent: (reason: Error) => void,
): void {
  let isWaiting = false;
  let idleTicks = 0;
  const timer = setInterval(() => {
    if (isWaiting || session.destroyed) return;
    if (streams.isNone && ++idleTicks < idleEveryMs / everyMs) return;
    idleTicks = 0;
    isWaiting = true;
    let isAnswered = false;
    const giveUp = () => {
      if (isAnswered) return;
      const reason = new Error('the server does not answer');
      onSilent(reason);
      session.destroy(reason);
    };
    // The answer may be there unread when this process itself was held up: a turn of the loop reads it.
    const silence = setTimeout(() => setImmediate(() => setImmediate(giveUp)), timeoutMs).unref();
    session.ping(() => {
      isWaiting = false;
      isAnswered = true;
      clearTimeout(silence);
    });
  }, everyMs).unref();
  session.once('close', () => clearInterval(timer));
}
