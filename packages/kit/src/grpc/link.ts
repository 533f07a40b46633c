import type { ClientHttp2Session } from 'node:http2';
import { type DialOptions, dial } from './dial.ts';

/** A failure that took no longer may be tried again by the next call: a refused connection costs nothing. */
const QUICK_MS = 250;

/** The kernel says these quickly only as long as it remembers that it was slow to find out. */
const UNREACHABLE: ReadonlySet<string> = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ETIMEDOUT']);

/** Pause between attempts to reach a server that does not even refuse. */
const PROBE_EVERY_MS = 500;

/**
 * The connection to one replica: made on first use, and again after it broke. Once a server was too slow to fail, or
 * fell silent, calls fail at once while attempts go on behind them.
 */
export class Link {
  readonly #options: DialOptions;
  readonly #onLost: () => void;
  #session: ClientHttp2Session | undefined;
  #dialling: Promise<ClientHttp2Session> | undefined;
  #stuck: unknown;
  #probe: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();

  /** `onLost` hears of each session that takes no new calls any more. */
  constructor(options: Omit<DialOptions, 'onSilent'>, onLost: () => void) {
    this.#options = { ...options, onSilent: (session, reason) => this.#fellSilent(session, reason) };
    this.#onLost = onLost;
  }

  /** A session that can be used now. */
  get ready(): ClientHttp2Session | undefined {
    const session = this.#session;
    return session && !session.closed && !session.destroyed ? session : undefined;
  }

  /** The session, once it is made. Throws the reason why it cannot be. */
  session(): Promise<ClientHttp2Session> {
    if (this.#stuck !== undefined) return Promise.reject(this.#stuck);
    this.#dialling ??= this.#dial().finally(() => {
      this.#dialling = undefined;
    });
    return this.#dialling;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#probe);
    await this.#dialling?.catch(() => undefined);
    this.#session?.destroy();
    this.#session = undefined;
  }

  async #dial(): Promise<ClientHttp2Session> {
    const startedAt = performance.now();
    try {
      const session = await dial(this.#options, this.#closing.signal);
      this.#stuck = undefined;
      this.#use(session);
      return session;
    } catch (error) {
      if (performance.now() - startedAt >= QUICK_MS || isUnreachable(error)) this.#probeFor(error);
      // Nothing goes on behind the calls any more: the next one tries by itself.
      else this.#stuck = undefined;
      throw error;
    }
  }

  #probeFor(reason: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#stuck = reason;
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => void this.#dial().catch(() => undefined), PROBE_EVERY_MS).unref();
  }

  #use(session: ClientHttp2Session): void {
    if (this.#closing.signal.aborted) session.destroy();
    this.#session = session;
    const forget = () => {
      if (this.#session !== session) return;
      this.#session = undefined;
      this.#onLost();
    };
    session
      .on('close', forget)
      .on('goaway', forget)
      .on('error', (error) => {
        if (isUnreachable(error)) this.#fellSilent(session, error);
        forget();
      });
  }

  /** The next call would find it silent too, after a long wait. */
  #fellSilent(session: ClientHttp2Session, reason: Error): void {
    if (this.#session === session) this.#probeFor(reason);
  }
}

function isUnreachable(error: unknown): boolean {
  return UNREACHABLE.has(String((error as NodeJS.ErrnoException).code));
}
