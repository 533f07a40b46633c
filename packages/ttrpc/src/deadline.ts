/** The furthest that a timer of Node can wait, 24 days; it takes more for 1 ms. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** A deadline in milliseconds from now; undefined for none, and for one so far away that it is as good as none. */
export function boundedTimeout(timeoutMs: number | undefined): number | undefined {
  return timeoutMs !== undefined && timeoutMs <= MAX_TIMEOUT_MS ? timeoutMs : undefined;
}
