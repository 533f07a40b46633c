import type { Socket } from 'node:net';

/** What is under way; a sender that is faster than the line waits. */
const MAX_BYTES_UNDER_WAY = 8 * 1024 * 1024;

/** Passes what `from` says on to `to`, each chunk after `delayMs()`, its end included. A break of either breaks both. */
export function pipeDelayed(from: Socket, to: Socket, delayMs: () => number): void {
  const underWay: { dueMs: number; chunk: Buffer | undefined }[] = [];
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  let isDraining = false;

  const deliver = () => {
    timer = undefined;
    const now = performance.now();
    while (underWay[0] !== undefined && underWay[0].dueMs <= now + 0.5) {
      const { chunk } = underWay.shift()!;
      if (chunk === undefined) {
        to.end();
        continue;
      }
      bytes -= chunk.length;
      if (!to.write(chunk)) break;
    }
    if (bytes < MAX_BYTES_UNDER_WAY) from.resume();
    schedule();
  };
  const schedule = () => {
    const [first] = underWay;
    if (first === undefined || timer !== undefined || isDraining) return;
    if (to.writableNeedDrain) {
      isDraining = true;
      to.once('drain', () => {
        isDraining = false;
        schedule();
      });
      return;
    }
    timer = setTimeout(deliver, Math.max(0, first.dueMs - performance.now()));
  };
  const send = (chunk: Buffer | undefined) => {
    const delay = delayMs();
    if (delay === 0 && underWay.length === 0 && !to.writableNeedDrain) {
      if (chunk === undefined) to.end();
      else to.write(chunk);
      return;
    }
    underWay.push({ dueMs: performance.now() + delay, chunk });
    bytes += chunk?.length ?? 0;
    if (bytes >= MAX_BYTES_UNDER_WAY) from.pause();
    schedule();
  };

  from.on('data', send);
  from.once('end', () => send(undefined));
  const breakBoth = () => {
    clearTimeout(timer);
    from.destroy();
    to.destroy();
  };
  from.once('error', breakBoth);
  to.once('error', breakBoth);
}
