import type { ClientHttp2Session } from 'node:http2';
import { fromGrpcStatus, GrpcCode, unavailable } from '@longshore/errors';

export interface ServerVersion {
  version: string;
  revision: string;
}

const PATH = '/containerd.services.version.v1.Version/Version';
/** An empty message: not compressed, of no bytes. */
const EMPTY = Buffer.alloc(5);
const TIMEOUT_MS = 3_000;

/**
 * Asks a node socket for its version with Node's own HTTP/2: loading gRPC and protobuf takes three times as long as all else that the
 * command does. Throws Unavailable when nobody answers there.
 */
export async function askVersion(socketPath: string): Promise<ServerVersion> {
  const [{ connect: connectHttp2 }, { connect }] = await Promise.all([
    import('node:http2'),
    import('node:net'),
  ]);
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socketPath) });
  try {
    return await ask(session);
  } catch (error) {
    if (error instanceof Error && 'kind' in error) throw error;
    throw unavailable(`server at unix://${socketPath}: ${(error as Error).message}`, { cause: error });
  } finally {
    session.destroy();
  }
}

function ask(session: ClientHttp2Session): Promise<ServerVersion> {
  const { promise, resolve, reject } = Promise.withResolvers<ServerVersion>();
  session.on('error', reject);
  const stream = session.request({
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const parts: Buffer[] = [];
  let status: { code: number; message: string } | undefined;
  const look = (headers: Record<string, unknown>) => {
    if (headers['grpc-status'] === undefined) return;
    status = {
      code: Number(headers['grpc-status']),
      message: decodeURIComponent(String(headers['grpc-message'] ?? '')),
    };
  };
  stream
    .on('response', look)
    .on('trailers', look)
    .on('data', (part: Buffer) => parts.push(part))
    .on('error', reject)
    .on('end', () => {
      if (status?.code === GrpcCode.OK) resolve(decode(Buffer.concat(parts).subarray(EMPTY.length)));
      else reject(status ? fromGrpcStatus(status) : new Error('it does not speak gRPC'));
    })
    .setTimeout(TIMEOUT_MS, () => reject(new Error('no answer')));
  stream.end(EMPTY);
  return promise;
}

/** `VersionResponse`: two texts, fields 1 and 2, each shorter than 128 bytes. Others are passed over. */
function decode(message: Buffer): ServerVersion {
  const fields = new Map<number, string>();
  for (let at = 0; at + 2 <= message.length; ) {
    const [tag, length] = [message[at]!, message[at + 1]!];
    fields.set(tag >> 3, message.toString('utf8', at + 2, at + 2 + length));
    at += 2 + length;
  }
  return { version: fields.get(1) ?? '', revision: fields.get(2) ?? '' };
}
