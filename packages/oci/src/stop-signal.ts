import { constants } from 'node:os';

/** What clients take over from the image: the signal that asks the container to end. */
export const STOP_SIGNAL_LABEL = 'io.containerd.image.config.stop-signal';

/** Of the C library; some of those below them are its own. */
const [REALTIME_MIN, REALTIME_MAX] = [34, 64];

/** `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`, in any case; undefined for what is no signal. */
export function parseSignal(text: string): number | undefined {
  const name = text.trim().toUpperCase().replace(/^SIG/, '');
  if (/^\d+$/.test(name)) return inRange(Number(name));
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (realtime) {
    const [, base, sign, offset = '0'] = realtime;
    const from = base === 'MIN' ? REALTIME_MIN : REALTIME_MAX;
    return inRange(from + (sign === '-' ? -Number(offset) : Number(offset)));
  }
  const known: Partial<Record<string, number>> = constants.signals;
  return Object.hasOwn(known, `SIG${name}`) ? known[`SIG${name}`] : undefined;
}

function inRange(signal: number): number | undefined {
  return signal >= 1 && signal <= REALTIME_MAX ? signal : undefined;
}
