import type { ClientHttp2Session } from 'node:http2';

/** How often a server is asked for a sign of life, and how long it may take. */
export interface Pulse {
  everyMs: number;
  timeoutMs: number;
}

/** The kernel tells of a process on this machine that ends: this is for one that is stopped. */
export const LOCAL_PULSE: Pulse = { everyMs: 10_000, timeoutMs: 5_000 };

/** A machine that is lost without a word is noticed within some three seconds. */
export const REMOTE_PULSE: Pulse = { everyMs: 1_000, timeoutMs: 2_500 };

/** Ends a session whose server does not answer pings; `onSilent` hears of it before anybody else. */
export function watchPulse(
  session: ClientHttp2Session,
  { everyMs, timeoutMs }: Pulse,
  onSilent: (reason: Error) => void,
): void {
  let isWaiting = false;
  const timer = setInterval(() => {
    if (isWaiting || session.destroyed) return;
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
