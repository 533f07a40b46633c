import { Client, credentials, Metadata } from '@grpc/grpc-js';

export interface RawAnswer {
  code: number;
  details: string;
  bytes: Buffer;
  trailers: Metadata;
}

/** One unary call with bytes for a request, as any gRPC client could send it. */
export function rawCall(
  socket: string,
  method: string,
  headers: Record<string, string> = {},
  request: Uint8Array = new Uint8Array(),
): Promise<RawAnswer> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const client = new Client(`unix:${socket}`, credentials.createInsecure());
  const asIs = (bytes: Uint8Array) => Buffer.from(bytes);
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const call = client.makeUnaryRequest(method, asIs, asIs, request, metadata, (_error, answer) => {
      bytes = answer ?? bytes;
    });
    call.on('status', ({ code, details, metadata: trailers }) => {
      client.close();
      resolve({ code, details, bytes, trailers });
    });
  });
}
