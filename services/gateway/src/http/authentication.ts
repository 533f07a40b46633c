import { LongshoreError } from '@longshore/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AdminToken } from './admin-token.ts';

const BEARER = /^Bearer +([\w\-.~+/]+=*) *$/i;

/** A hook that lets requests pass which carry the token. */
export function requireToken(token: AdminToken) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const presented = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (presented !== undefined && token.matches(presented)) return;
    reply.header('www-authenticate', 'Bearer realm="longshore"');
    const problem = presented === undefined ? 'a bearer token is required' : 'the bearer token is not valid';
    throw new LongshoreError('Unauthenticated', `${problem}: unauthenticated`);
  };
}
