import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { isOver } from './end-with-error.ts';
import { HttpCall } from './http-call.ts';
import type { Route } from './route.ts';
import { startRouteSpan } from './route-span.ts';
import { answerUnary } from './unary-answer.ts';
import type { UnaryMethod } from './unary-method.ts';

/**
 * Answers a call by a method of this very process, in the way in which `passOn` would by its server, without the hop: the
 * headers and trailers of the route are used alike. When it resolves, the answer is on its way, or nobody waits for it.
 */
export async function answerHere(
  incoming: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  method: UnaryMethod,
  request: unknown,
  route: Pick<Route, 'headers' | 'takeTrailers'>,
): Promise<void> {
  // One who left already says so no more.
  if (isOver(incoming)) return;
  const path = String(headers[constants.HTTP2_HEADER_PATH]);
  const { span, headers: trace } = startRouteSpan(path, headers);
  incoming.once('close', () => span.end());
  const call = new HttpCall(path, { ...headers, ...trace, ...route.headers });
  // A caller that resets its stream without an error aborts it.
  incoming.on('aborted', call.cancel).on('close', call.cancel);
  const outcome = await call.outcomeOf(method.run(call, request));
  await route.takeTrailers?.(outcome.trailers as IncomingHttpHeaders);
  if (!isOver(incoming)) answerUnary(incoming, outcome);
}
