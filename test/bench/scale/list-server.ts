import { once } from 'node:events';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { objectAdaptor, parseFilters } from '@longshore/filters';
import {
  type Container,
  ContainerSchema,
  ListContainerMessageSchema,
  ListContainersRequestSchema,
} from '@longshore/proto/containerd/services/containers/v1/containers';

const FRAME_HEADER_BYTES = 5;

/**
 * Answers `Containers.ListStream` in the place of an agent, whatever is asked, on a socket of its own. A thousand agents
 * choose what matches on machines of their own: here each question is answered from memory once it was asked before.
 */
export class ListServer {
  /** By id, as the control plane keeps them. */
  readonly #records = new Map<string, Uint8Array>();
  /** By filters. */
  readonly #answers = new Map<string, Buffer>();

  async listen(socket: string): Promise<void> {
    const server = createServer().on('stream', (stream) => this.#answer(stream));
    await once(server.listen(socket), 'listening');
  }

  get size(): number {
    return this.#records.size;
  }

  keep(id: string, value: Uint8Array): void {
    this.#records.set(id, value);
    this.#answers.clear();
  }

  #answer(stream: ServerHttp2Stream): void {
    const chunks: Buffer[] = [];
    // A caller that leaves resets its stream.
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const message = Buffer.concat(chunks).subarray(FRAME_HEADER_BYTES);
      const { filters } = fromBinary(ListContainersRequestSchema, message);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(this.#answerTo(filters));
    });
  }

  #answerTo(filters: readonly string[]): Buffer {
    const key = JSON.stringify(filters);
    const known = this.#answers.get(key);
    if (known) return known;
    const filter = parseFilters(filters);
    const containers = [...this.#records.values()].map((value) => fromBinary(ContainerSchema, value));
    const answer = Buffer.concat(containers.filter((each) => filter.matches(adaptorOf(each))).map(frameOf));
    this.#answers.set(key, answer);
    return answer;
  }
}

function adaptorOf({ id, image, labels, runtime }: Container) {
  return objectAdaptor({ id, image, 'runtime.name': runtime?.name }, labels);
}

function frameOf(container: Container): Buffer {
  const message = toBinary(ListContainerMessageSchema, create(ListContainerMessageSchema, { container }));
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([header, message]);
}
