/** How far a watcher has heard: of everything that this snapshot of this database sees. */
export interface WatchPosition {
  /** Changes when the database is another one, or went back to an earlier state of itself. */
  readonly epoch: string;
  /** A `pg_snapshot` as text: `xmin:xmax:` and the transactions between them that it does not see. */
  readonly snapshot: string;
}

/** A snapshot that sees nothing: transactions are counted from 3. */
export const SEES_NOTHING = '1:1:';

const POSITION = /^([\d.]+)\/((\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?))$/;

export function formatPosition({ epoch, snapshot }: WatchPosition): string {
  return `${epoch}/${snapshot}`;
}

/** `undefined` for what no watch has given, so that a caller with a damaged one starts anew. */
export function parsePosition(text: string): WatchPosition | undefined {
  const [, epoch, snapshot, xmin, xmax, open] = POSITION.exec(text) ?? [];
  if (epoch === undefined || snapshot === undefined) return undefined;
  const between = open ? open.split(',').map(BigInt) : [];
  const rising = [BigInt(xmin!) - 1n, ...between, BigInt(xmax!)];
  const isSnapshot =
    BigInt(xmin!) > 0n &&
    BigInt(xmin!) <= BigInt(xmax!) &&
    (between.length === 0 || rising.every((xid, index) => index === 0 || xid > rising[index - 1]!));
  return isSnapshot ? { epoch, snapshot } : undefined;
}
