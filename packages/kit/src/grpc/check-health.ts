import type { ClientHttp2Session } from 'node:http2';
import { fromBinary } from '@bufbuild/protobuf';
import { GrpcCode, unavailable } from '@longshore/errors';
import {
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@longshore/proto/grpc/health/v1/health';

const TIMEOUT_MS = 2_000;
const PREFIX_BYTES = 5;

const HEADERS = {
  ':method': 'POST',
  ':path': '/grpc.health.v1.Health/Check',
  ':authority': 'localhost',
  'content-type': 'application/grpc',
  te: 'trailers',
};

/** Throws Unavailable when the server says that it does not serve, or says nothing. One without health checks is well. */
export async function checkHealth(session: ClientHttp2Session): Promise<void> {
  const stream = session.request(HEADERS);
  const timeout = setTimeout(() => stream.close(), TIMEOUT_MS);
  let code = '';
  stream.on('response', (headers) => {
    code = String(headers['grpc-status'] ?? '');
  });
  stream.on('trailers', (trailers) => {
    code = String(trailers['grpc-status'] ?? '');
  });
  stream.end(Buffer.alloc(PREFIX_BYTES));
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } finally {
    clearTimeout(timeout);
  }
  if (code === String(GrpcCode.Unimplemented)) return;
  const body = Buffer.concat(chunks).subarray(PREFIX_BYTES);
  if (code === '0' && fromBinary(HealthCheckResponseSchema, body).status === ServingStatus.SERVING) return;
  throw unavailable('the server is not serving');
}
