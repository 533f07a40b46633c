export {
  type Address,
  bindPrivately,
  claimSocketPath,
  formatAddress,
  formatPeer,
  NO_TLS,
  type Peer,
  parseAddress,
  parseAddresses,
  Revocations,
  requireTls,
  splitHostPort,
  type TlsFiles,
} from '@longshore/transport';
export { passBulk } from './bulk-memory.ts';
export * from './common-config.ts';
export * from './config.ts';
export * from './event-envelope.ts';
export * from './grpc/access.ts';
export { answerHere } from './grpc/answer-here.ts';
export * from './grpc/call.ts';
export { endWithError, isOver, statusTrailers } from './grpc/end-with-error.ts';
export * from './grpc/handlers.ts';
export * from './grpc/health.ts';
export type { LastResort } from './grpc/last-resort.ts';
export * from './grpc/limits.ts';
export type { ListenOptions } from './grpc/listener-tls.ts';
export * from './grpc/raw-listener.ts';
export * from './grpc/route.ts';
export * from './grpc/server.ts';
export type { UnaryMethod, UnaryOutcome } from './grpc/unary-method.ts';
export * from './grpc/upstream.ts';
export * from './grpc/watch-rpc.ts';
export * from './lifecycle.ts';
export * from './list-part.ts';
export * from './logger.ts';
export * from './metrics.ts';
export * from './node-record.ts';
export * from './opaque-any.ts';
export { Counter, Gauge } from './prometheus.ts';
export * from './record-event.ts';
export * from './record-tag.ts';
export * from './scope.ts';
export * from './tracing.ts';
export * from './value-schema.ts';
