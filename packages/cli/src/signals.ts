import { constants } from 'node:os';
import { nearest } from './nearest.ts';
import { UsageError } from './usage-error.ts';

/** `9`, `KILL`, `sigkill`; also real-time ones as `RTMIN+3`. Throws UsageError for what is no signal. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 64) return Number(text);
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  const known: Record<string, number> = constants.signals;
  const number = known[name] ?? realTime(name);
  if (number !== undefined) return number;
  const near = nearest(name, Object.keys(known));
  throw new UsageError(`signal "${text}": unknown`, near && `Did you mean ${near}?`);
}

/** glibc keeps the first two of the kernel's for itself. Source: signal(7). */
function realTime(name: string): number | undefined {
  const [, base, sign, count] = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name) ?? [];
  if (base === undefined) return undefined;
  const number = (base === 'MIN' ? 34 : 64) + Number(`${sign ?? ''}${count ?? 0}`);
  return number >= 34 && number <= 64 ? number : undefined;
}
