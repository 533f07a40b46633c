import { type ErrorKind, kindOf, LongshoreError, messageOf } from './errors.ts';

/** gRPC status codes. Source: grpc/grpc doc/statuscodes.md. */
export const GrpcCode = {
  OK: 0,
  Canceled: 1,
  Unknown: 2,
  InvalidArgument: 3,
  DeadlineExceeded: 4,
  NotFound: 5,
  AlreadyExists: 6,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  FailedPrecondition: 9,
  Aborted: 10,
  OutOfRange: 11,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  DataLoss: 15,
  Unauthenticated: 16,
} as const;

/** Conflict and NotModified have no code of their own: the message's tail tells them from FailedPrecondition. */
const CONFLICT_TAIL = ': conflict';
const NOT_MODIFIED_TAIL = ': not modified';

/** The one table of statuses. HTTP statuses follow google.rpc.Code where it names one. */
const STATUS: Record<ErrorKind, { grpc: number; http: number }> = {
  InvalidArgument: { grpc: GrpcCode.InvalidArgument, http: 400 },
  NotFound: { grpc: GrpcCode.NotFound, http: 404 },
  AlreadyExists: { grpc: GrpcCode.AlreadyExists, http: 409 },
  PermissionDenied: { grpc: GrpcCode.PermissionDenied, http: 403 },
  ResourceExhausted: { grpc: GrpcCode.ResourceExhausted, http: 429 },
  FailedPrecondition: { grpc: GrpcCode.FailedPrecondition, http: 412 },
  Conflict: { grpc: GrpcCode.FailedPrecondition, http: 409 },
  NotModified: { grpc: GrpcCode.FailedPrecondition, http: 304 },
  Aborted: { grpc: GrpcCode.Aborted, http: 409 },
  OutOfRange: { grpc: GrpcCode.OutOfRange, http: 416 },
  Unimplemented: { grpc: GrpcCode.Unimplemented, http: 501 },
  Internal: { grpc: GrpcCode.Internal, http: 500 },
  Unavailable: { grpc: GrpcCode.Unavailable, http: 503 },
  DataLoss: { grpc: GrpcCode.DataLoss, http: 500 },
  Unauthenticated: { grpc: GrpcCode.Unauthenticated, http: 401 },
  Canceled: { grpc: GrpcCode.Canceled, http: 499 },
  DeadlineExceeded: { grpc: GrpcCode.DeadlineExceeded, http: 504 },
  Unknown: { grpc: GrpcCode.Unknown, http: 500 },
};

export interface WireStatus {
  code: number;
  message: string;
}

/** Error → gRPC status. Source: containerd errdefs pkg/errgrpc/grpc.go. */
export function toGrpcStatus(error: unknown): WireStatus {
  const kind = kindOf(error);
  return { code: STATUS[kind].grpc, message: withTail(kind, messageOf(error)) };
}

/** gRPC status → error; the inverse of {@link toGrpcStatus}. */
export function fromGrpcStatus(status: WireStatus, options?: ErrorOptions): LongshoreError {
  return new LongshoreError(kindFromGrpc(status), status.message, options);
}

export function toHttpStatus(error: unknown): number {
  return STATUS[kindOf(error)].http;
}

function kindFromGrpc({ code, message }: WireStatus): ErrorKind {
  if (code === GrpcCode.FailedPrecondition) {
    if (message.endsWith(CONFLICT_TAIL)) return 'Conflict';
    if (message.endsWith(NOT_MODIFIED_TAIL)) return 'NotModified';
    return 'FailedPrecondition';
  }
  for (const [kind, status] of Object.entries(STATUS)) {
    if (status.grpc === code) return kind as ErrorKind;
  }
  return 'Unknown';
}

function withTail(kind: ErrorKind, message: string): string {
  if (kind === 'Conflict' && !message.endsWith(CONFLICT_TAIL)) return message + CONFLICT_TAIL;
  if (kind === 'NotModified' && !message.endsWith(NOT_MODIFIED_TAIL)) return message + NOT_MODIFIED_TAIL;
  return message;
}
