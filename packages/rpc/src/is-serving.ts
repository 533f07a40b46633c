import { fromBinary } from '@bufbuild/protobuf';
import { type Client, Metadata, status } from '@grpc/grpc-js';
import {
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@longshore/proto/grpc/health/v1/health';

const PATH = '/grpc.health.v1.Health/Check';
const TIMEOUT_MS = 2_000;

/** Whether a server says that it serves; one without health checks does. Never rejects. */
export function isServing(client: Client): Promise<boolean> {
  const encode = () => Buffer.alloc(0);
  const decode = (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes).status;
  const deadline = Date.now() + TIMEOUT_MS;
  return new Promise((resolve) => {
    client.makeUnaryRequest(PATH, encode, decode, {}, new Metadata(), { deadline }, (error, answer) =>
      resolve(error ? error.code === status.UNIMPLEMENTED : answer === ServingStatus.SERVING),
    );
  });
}
