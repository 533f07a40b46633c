import type { RepeatableWork } from '../idempotency.ts';

/** What a run tells of its container, first and to repetitions of its request. */
export interface MadeContainer {
  id: string;
  node: string;
  image: string;
  pid: number;
  /** By which it is told from a later one of its name. */
  created_at: string;
}

/** Of a request with an `Idempotency-Key`; empty without one. */
export interface RunKeeping {
  claim?: RepeatableWork | undefined;
  /** What the first one has made; it was started, or is about to be. */
  earlier?: MadeContainer | undefined;
  /** The id was made from the key: a container of that name is of this very request. */
  isIdOfKey?: boolean;
}

export function keptAnswer(made: MadeContainer) {
  const headers = { 'content-type': 'application/json; charset=utf-8', location: locationOf(made) };
  return { status: 201, headers, body: JSON.stringify(made) };
}

export function locationOf({ id }: Pick<MadeContainer, 'id'>): string {
  return `/v1/containers/${encodeURIComponent(id)}`;
}
