import { unauthenticated } from './unauthenticated.ts';

const BEARER = /^Bearer +([\w\-.~+/]+=*) *$/i;

/** The token of a header `authorization`; undefined without the header. Throws Unauthenticated for another kind of it. */
export function bearerOf(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw unauthenticated('a bearer token is required');
  return token;
}
