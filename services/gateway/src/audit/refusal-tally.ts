import { randomUUID } from 'node:crypto';
import { kindOf } from '@longshore/errors';
import type { CountedRefusal } from './audit-events.ts';
import type { AuditRefusal } from './audit-log.ts';

/** Who repeats itself within it is told of once more, at its end, with the number. */
export const WINDOW_MS = 10_000;
/** Kinds of refusals that are told apart in one window: what a flood costs Postgres, and us. */
const MAX_KINDS = 1_000;

const OTHERS: Omit<AuditRefusal, 'error'> = {
  requestId: '',
  caller: '',
  address: '',
  action: '',
  namespace: '',
  node: '',
};

/**
 * Counts refusals, so that a flood of them is few events: the first of each caller, action and reason is told at once, those
 * that follow within a window at its end. Beyond a number of such kinds the rest is counted as one.
 */
export class RefusalTally {
  readonly #tell: (counted: CountedRefusal) => void;
  /** Of this window; with a count of 0 what was told already. */
  #kinds = new Map<string, CountedRefusal>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (counted: CountedRefusal) => void) {
    this.#tell = tell;
  }

  add(refusal: AuditRefusal): void {
    this.#timer ??= setInterval(() => this.endWindow(), WINDOW_MS).unref();
    const known = this.#kinds.get(keyOf(refusal));
    if (known) {
      repeat(known, refusal);
      return;
    }
    if (this.#kinds.size < MAX_KINDS) {
      const counted = count(refusal);
      this.#kinds.set(keyOf(refusal), { ...counted, count: 0 });
      this.#tell(counted);
      return;
    }
    const others = this.#kinds.get('');
    if (others) repeat(others, { ...OTHERS, error: refusal.error });
    else this.#kinds.set('', count({ ...OTHERS, error: refusal.error }));
  }

  /** Tells what has come since the last time. Who goes on is told of at each end of a window. */
  endWindow(): void {
    const repeated = [...this.#kinds].filter(([, { count }]) => count > 0);
    for (const [, counted] of repeated) this.#tell(counted);
    this.#kinds = new Map(repeated.map(([key, counted]) => [key, { ...counted, count: 0 }]));
    if (this.#kinds.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    this.endWindow();
    clearInterval(this.#timer);
  }
}

/** Who has not proven a name is told by its address. */
function keyOf({ caller, address, action, error }: AuditRefusal): string {
  return [caller || address, action, kindOf(error)].join(' ');
}

function count(refusal: AuditRefusal): CountedRefusal {
  const now = Date.now();
  return { id: randomUUID(), refusal, count: 1, firstAt: now, lastAt: now };
}

function repeat(counted: CountedRefusal, refusal: AuditRefusal): void {
  counted.lastAt = Date.now();
  if (counted.count++ > 0) return;
  counted.id = randomUUID();
  counted.refusal = refusal;
  counted.firstAt = counted.lastAt;
}
