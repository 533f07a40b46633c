const TIMES = new Set(['exitedAt', 'createdAt', 'updatedAt', 'timestamp', 'exited_at']);

/** An answer as data, without what differs between two daemons, or two runs: pids, times, places, measures. */
export function plain(value: unknown, state: string): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string') return value.replaceAll(state, '<state>');
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (Array.isArray(value)) return value.map((item) => plain(item, state));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => {
      if (key.startsWith('$')) return [];
      if (TIMES.has(key)) return [[key, item && 'a time']];
      if (key === 'pid') return [[key, item && 'a pid']];
      if (key === 'data') return [[key, (item as { typeUrl: string } | undefined)?.typeUrl]];
      return [[key, plain(item, state)]];
    }),
  );
}
