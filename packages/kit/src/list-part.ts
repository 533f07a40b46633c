import { invalidArgument } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';

/** A part of what a List has to tell, which is in byte order of names. */
export interface ListPart {
  /** The first name that is wanted; empty: from the first one on. */
  from: string;
  /** Infinity: to the end. */
  limit: number;
}

export const WHOLE_LIST: ListPart = { from: '', limit: Number.POSITIVE_INFINITY };

/** No page is larger; a larger number is taken for it. */
const MAX_LIMIT = 10_000;
const LIMIT = /^[1-9]\d{0,8}$/;
const BASE64URL = /^[\w-]*$/;

/** What the headers of a List say of it, all if nothing. Throws InvalidArgument for what {@link listPartHeaders} does not make. */
export function listPartOf(header: (name: string) => string | undefined): ListPart {
  const from = header(Header.ListFrom) ?? '';
  const limit = header(Header.ListLimit);
  if (!BASE64URL.test(from)) throw invalidArgument(`header ${Header.ListFrom}: want base64url`);
  if (limit !== undefined && !LIMIT.test(limit)) {
    throw invalidArgument(`header ${Header.ListLimit}: want a number of items`);
  }
  return {
    from: Buffer.from(from, 'base64url').toString(),
    limit: limit === undefined ? WHOLE_LIST.limit : Math.min(Number(limit), MAX_LIMIT),
  };
}

/** Has a List tell no more than this part; who does not know them tells all. */
export function listPartHeaders({ from, limit }: ListPart): Record<string, string> {
  return {
    ...(from !== '' && { [Header.ListFrom]: Buffer.from(from).toString('base64url') }),
    ...(Number.isFinite(limit) && { [Header.ListLimit]: String(limit) }),
  };
}
