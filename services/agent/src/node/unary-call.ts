import { connect } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { DescMessage } from '@bufbuild/protobuf';
import {
  create,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { fromGrpcStatus, unavailable } from '@longshore/errors';

const PREFIX_BYTES = 5;
const TIMEOUT_MS = 30_000;

/**
 * One gRPC call on a connection that was made, and vetted, by the caller; it is closed afterwards. For callers that have no
 * certificate yet: everything else goes through `Channel`. Throws the error that the server answers, or Unavailable.
 */
export function unaryCall<I extends DescMessage, O extends DescMessage>(
  socket: TLSSocket,
  method: DescMethodUnary<I, O>,
  init: MessageInitShape<I>,
): Promise<MessageShape<O>> {
  const session = connect('https://longshore', { createConnection: () => socket });
  return new Promise<MessageShape<O>>((resolve, reject) => {
    const fail = (error: Error) => reject(unavailable(`call: ${error.message}`, { cause: error }));
    session.once('error', fail);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/${method.parent.typeName}/${method.name}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let status: { code: number; message: string } | undefined;
    const takeStatus = (headers: NodeJS.Dict<string | string[]>) => {
      if (headers['grpc-status'] === undefined) return;
      const message = decodeURIComponent(String(headers['grpc-message'] ?? ''));
      status = { code: Number(headers['grpc-status']), message };
    };
    stream.on('response', takeStatus).on('trailers', takeStatus);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.setTimeout(TIMEOUT_MS, () => stream.destroy(new Error('no answer')));
    stream.once('error', fail);
    stream.once('close', () => {
      if (!status) fail(new Error('the server went away'));
      else if (status.code !== 0) reject(fromGrpcStatus(status));
      else resolve(fromBinary(method.output, Buffer.concat(chunks).subarray(PREFIX_BYTES)));
    });
    stream.end(framed(toBinary(method.input, create(method.input, init))));
  }).finally(() => session.destroy());
}

/** Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message. */
function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
