import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { GetRequestSchema, GetResponseSchema } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Status } from '@longshore/proto/containerd/v1/types/task';
import { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { connect, unary } from '../scale/calls.ts';

/**
 * Agents in one process that know nothing but that every task runs: nodes that have many containers, without a copy of them.
 * Arguments: the directory of the services' sockets, and how many. Tells its parent once all are registered.
 */
const [state = '', count = '0'] = process.argv.slice(2);

const HEARTBEAT_MS = 10_000;
const FRAME_HEADER_BYTES = 5;

process.on('disconnect', () => process.exit());
const runtime = connect(`${state}/runtime.sock`);
for (let n = 1; n <= Number(count); n++) await startAgent(`n${n}`);
process.send?.('started');

async function startAgent(id: string): Promise<void> {
  const socket = `${state}/${id}.sock`;
  const server = createServer().on('stream', answer);
  await once(server.listen(socket), 'listening');
  const node = { id, address: `unix://${socket}`, hostname: id, machineId: id, architecture: 'amd64' };
  await unary(runtime, NodeService.method.register, { node }, id);
  setInterval(() => void unary(runtime, NodeService.method.heartbeat, { id }, id), HEARTBEAT_MS);
}

/** Whatever is asked is taken for the question after one task. */
function answer(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const { containerId } = fromBinary(GetRequestSchema, Buffer.concat(chunks).subarray(FRAME_HEADER_BYTES));
    const process = { id: containerId, pid: 1, status: Status.RUNNING };
    const message = toBinary(GetResponseSchema, create(GetResponseSchema, { process }));
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt32BE(message.byteLength, 1);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.concat([header, message]));
  });
}
