import type { Http2Session, IncomingHttpHeaders } from 'node:http2';
import { LongshoreError } from '@longshore/errors';
import { Header } from '@longshore/proto/headers';
import type { Caller } from '../access/caller.ts';
import { rpcRuleOf } from '../access/rpc-rules.ts';
import { firstValue } from '../door/caller-headers.ts';
import type { AuditRefusal } from './audit-log.ts';
import { addressOf } from './call-record.ts';

/** A call at the gRPC door, as far as it got; a connection that was turned away has no headers. */
export interface RefusedCall {
  session: Http2Session | undefined;
  headers: IncomingHttpHeaders;
  requestId?: string;
  caller?: Caller;
}

/** A connection that was ended, for what was done on it. */
export function cutConnection(reason: string, address: string): AuditRefusal {
  const error = new LongshoreError('ResourceExhausted', `connection ended: ${reason}`);
  return { requestId: '', caller: '', address, action: '', namespace: '', node: '', error };
}

export function grpcRefusal(
  { session, headers, requestId = '', caller }: RefusedCall,
  error: unknown,
): AuditRefusal {
  const path = String(headers[':path']);
  return {
    requestId,
    caller: caller?.name ?? '',
    address: addressOf(session),
    // Nothing that a caller has made up: refusals are told apart by it.
    action: rpcRuleOf(path) ? path.slice(1) : '',
    namespace: firstValue(headers[Header.Namespace]),
    node: firstValue(headers[Header.Node]),
    error,
  };
}
