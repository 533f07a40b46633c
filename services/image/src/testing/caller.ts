import { fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import {
  ImageCreateSchema,
  ImageDeleteSchema,
  ImageUpdateSchema,
} from '@longshore/proto/containerd/services/images/v1/events';
import type { Image, ImageSchema } from '@longshore/proto/containerd/services/images/v1/images';
import { EnvelopeSchema } from '@longshore/proto/containerd/types/event';
import type { CallOptions } from '@longshore/rpc';
import type { ImageFixture } from './image-fixture.ts';

export type ImageInit = Exclude<MessageInitShape<typeof ImageSchema>, Image>;

export const MEDIA_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** A digest that is well formed; `letter` is a hex digit. */
export function digest(letter: string): string {
  return `sha256:${letter.repeat(64)}`;
}

export function imageInit(name: string, change: ImageInit = {}): ImageInit & { name: string } {
  const target = { mediaType: MEDIA_TYPE, digest: digest('a'), size: 7n, annotations: { made: 'here' } };
  return { name, labels: { a: '1' }, target, ...change };
}

const EVENTS = [ImageCreateSchema, ImageUpdateSchema, ImageDeleteSchema];
let counter = 0;

/** Someone who works with images in a scope of its own. */
export class Caller {
  readonly namespace = `ns${++counter}`;
  readonly node = `node${counter}`;
  /** Events in the trailers of the calls so far: topic and payload. */
  readonly events: [topic: string, payload: unknown][] = [];
  lease: string | undefined;
  readonly #service: ImageFixture;

  constructor(service: ImageFixture) {
    this.#service = service;
  }

  get options(): CallOptions {
    const headers: Record<string, string> = {
      'containerd-namespace': this.namespace,
      'longshore-node': this.node,
    };
    if (this.lease) headers['containerd-lease'] = this.lease;
    return {
      headers,
      onTrailers: (trailers) => {
        for (const bytes of trailers.get('longshore-event-bin')) this.#keepEvent(bytes as Buffer);
      },
    };
  }

  async create(name: string, change: ImageInit = {}): Promise<Image> {
    const answer = await this.#service.images.create({ image: imageInit(name, change) }, this.options);
    return answer.image!;
  }

  async update(image: ImageInit, ...paths: string[]): Promise<Image> {
    const answer = await this.#service.images.update({ image, updateMask: { paths } }, this.options);
    return answer.image!;
  }

  async get(name: string): Promise<Image> {
    return (await this.#service.images.get({ name }, this.options)).image!;
  }

  async names(...filters: string[]): Promise<string[]> {
    const { images } = await this.#service.images.list({ filters }, this.options);
    return images.map(({ name }) => name);
  }

  async delete(name: string, more: { sync?: boolean; target?: { digest: string } } = {}): Promise<void> {
    await this.#service.images.delete({ name, ...more }, this.options);
  }

  #keepEvent(bytes: Buffer): void {
    const { topic, event } = fromBinary(EnvelopeSchema, bytes);
    const schema = EVENTS.find(({ typeName }) => typeName === event?.typeUrl);
    if (!schema || !event) throw new Error(`event of type ${event?.typeUrl}`);
    const { $typeName: _, $unknown: __, ...payload } = fromBinary(schema, event.value);
    this.events.push([topic, payload]);
  }
}
