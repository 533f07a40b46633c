import { invalidArgument, LongshoreError } from '@longshore/errors';
import type { FastifyRequest } from 'fastify';
import { SUBPROTOCOL } from './channel-protocol.ts';

/** Followed by the token in base64url: where a browser can put one, whose sockets have no headers of the page's choice. */
const BEARER_PREFIX = 'bearer.longshore.io.';

const UPGRADE = /(?:^|,)\s*websocket\s*(?:,|$)/i;

/**
 * A hook for before the one that authenticates: a socket's token that came as a subprotocol, as in Kubernetes, counts as
 * its `authorization`. Not in the URL, which ends in logs and histories.
 */
export async function takeSocketToken(request: FastifyRequest): Promise<void> {
  if (!UPGRADE.test(request.headers.upgrade ?? '') || request.headers.authorization !== undefined) return;
  const offered = offeredBy(request).find((name) => name.startsWith(BEARER_PREFIX));
  if (offered === undefined) return;
  const token = Buffer.from(offered.slice(BEARER_PREFIX.length), 'base64url').toString();
  request.headers.authorization = `Bearer ${token}`;
}

/**
 * A hook for sockets. Throws PermissionDenied for one that a page of another site opens: its browser may add what proves
 * the person, a client certificate, by itself. Throws InvalidArgument for what is no socket, or does not speak our protocol.
 */
export async function requireOwnSocket(request: FastifyRequest): Promise<void> {
  if (!request.ws) throw invalidArgument('request: want a WebSocket');
  const { origin, host } = request.headers;
  if (origin !== undefined && hostOf(origin) !== host?.toLowerCase()) {
    throw new LongshoreError('PermissionDenied', `origin ${JSON.stringify(origin)}: permission denied`);
  }
  if (!offeredBy(request).includes(SUBPROTOCOL)) {
    throw invalidArgument(`header sec-websocket-protocol: want ${SUBPROTOCOL}`);
  }
}

/** Of those that a client offers; never the one that holds a token, which would be sent back. */
export function chooseProtocol(offered: ReadonlySet<string>): string | false {
  return offered.has(SUBPROTOCOL) && SUBPROTOCOL;
}

function offeredBy({ headers }: FastifyRequest): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
}

function hostOf(origin: string): string | undefined {
  return URL.parse(origin)?.host;
}
