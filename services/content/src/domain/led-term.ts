/** One time of leading what only one replica does. */
export interface LedTerm {
  /** Aborts when it is over, as far as this process knows. */
  readonly signal: AbortSignal;
  /** In the transaction of each led write: throws Unavailable when the term is over, whatever this process knows. */
  check(transaction: unknown): Promise<void>;
}

export async function untilOver({ signal }: Pick<LedTerm, 'signal'>): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
