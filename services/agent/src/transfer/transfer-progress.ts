import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import type { Descriptor } from '@longshore/oci';
import { ProgressSchema } from '@longshore/proto/containerd/types/transfer/progress';
import { type BlobProgress, refKey } from '@longshore/transfer';
import type { NodeStream } from './stream-table.ts';
import type { LayerStatus } from './unpack-request.ts';

/** As often as containerd looks. */
const EVERY_MS = 300;
const CLOSE_TIMEOUT_MS = 2_000;

const EVENTS = {
  waiting: 'waiting',
  fetching: 'downloading',
  done: 'complete',
  exists: 'already exists',
} as const;

interface Line {
  event: string;
  name?: string;
  parents?: string[];
  progressBytes?: number;
  desc?: Descriptor;
}

/**
 * Tells a client how its transfer goes, in containerd's words: what happened once at once, and of each blob only how it
 * is, now and then. A client that reads slowly gets fewer messages. Source: containerd core/transfer/local/progress.go.
 */
export class TransferProgress {
  readonly #stream: NodeStream | undefined;
  readonly #parent: string;
  readonly #changed = new Map<string, Line>();
  #sending: Promise<void> = Promise.resolve();
  readonly #timer: NodeJS.Timeout;
  #isBusy = false;

  /** `image` names it, for blobs that nothing else names. */
  constructor(stream: NodeStream | undefined, image: string) {
    this.#stream = stream;
    this.#parent = image;
    this.#timer = setInterval(() => this.#flush(), EVERY_MS);
  }

  event(event: string, name = ''): void {
    this.#flushNow();
    this.#send({ event, name });
  }

  blob({ descriptor, parent, status, offsetBytes }: BlobProgress): void {
    this.#note(descriptor, {
      event: EVENTS[status],
      parents: [parent ? refKey(parent) : this.#parent],
      progressBytes: offsetBytes,
    });
  }

  layer(descriptor: Descriptor, status: LayerStatus): void {
    this.#note(descriptor, { event: status, progressBytes: descriptor.size });
  }

  saved(name: string, desc: Descriptor): void {
    this.#flushNow();
    this.#send({ event: 'saved', name, desc });
  }

  /** Sends what is left, and ends the stream; a client that takes nothing any more is not waited for. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#flushNow();
    await Promise.race([this.#sending, delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    this.#stream?.close();
  }

  #note(desc: Descriptor, line: Line): void {
    const name = refKey(desc);
    const parents = line.parents ?? this.#changed.get(name)?.parents ?? [];
    this.#changed.set(name, { ...line, name, parents, desc });
  }

  #flush(): void {
    if (!this.#isBusy) this.#flushNow();
  }

  #flushNow(): void {
    for (const line of this.#changed.values()) this.#send(line);
    this.#changed.clear();
  }

  #send({ event, name = '', parents = [], progressBytes = 0, desc }: Line): void {
    if (!this.#stream) return;
    const progress = create(ProgressSchema, {
      event,
      name,
      parents,
      progress: BigInt(progressBytes),
      total: BigInt(desc?.size ?? 0),
      ...(desc && { desc: { mediaType: desc.mediaType, digest: desc.digest, size: BigInt(desc.size) } }),
    });
    const sent = this.#stream.send({
      typeUrl: ProgressSchema.typeName,
      value: toBinary(ProgressSchema, progress),
    });
    this.#isBusy = true;
    this.#sending = sent.then(() => {
      this.#isBusy = false;
    });
  }
}
