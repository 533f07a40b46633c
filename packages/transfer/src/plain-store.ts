import { isKind } from '@longshore/errors';
import type { Labels } from '@longshore/oci';
import { type Content, WriteAction } from '@longshore/proto/containerd/services/content/v1/content';
import type { CallOptions, ServiceClient } from '@longshore/rpc';
import { forgetIngest, ingestBlob } from './ingest-blob.ts';
import type { BlobToStore, Claim, LinkedBlob, OpenBlob, PullStore } from './pull-store.ts';
import { refKey } from './ref-key.ts';
import { Turns } from './turns.ts';

/** Questions at a time: each is a round trip. */
const PARALLEL = 8;
const SOURCE_LABEL = 'containerd.io/distribution.source.';

/**
 * A namespace of any content store that speaks containerd's API, and no more than that. Who fetches a blob is settled by
 * the store's one writer to a ref. Source: containerd core/content/helpers.go, core/remotes/handlers.go.
 */
export class PlainStore implements PullStore {
  readonly #content: ServiceClient<typeof Content>;
  readonly #options: CallOptions;

  /** `options` has the lease that keeps what is stored. */
  constructor(content: ServiceClient<typeof Content>, options: CallOptions) {
    this.#content = content;
    this.#options = options;
  }

  async link(blobs: readonly BlobToStore[], signal: AbortSignal): Promise<LinkedBlob[]> {
    const turns = new Turns(PARALLEL);
    return Promise.all(
      blobs.map(async (blob) => {
        const { digest, size } = blob.descriptor;
        const isLinked = await turns.run(() => this.#adopt(blob, signal));
        return { digest, isLinked, sizeBytes: size, place: undefined };
      }),
    );
  }

  async claim(): Promise<Claim> {
    return NO_CLAIM;
  }

  ingest(
    ref: string,
    blob: BlobToStore,
    open: OpenBlob,
    signal: AbortSignal,
    onOffset?: (offsetBytes: number) => void,
  ): Promise<void> {
    const parts = { content: this.#content, options: this.#options };
    return ingestBlob({ ...parts, ref, blob, open, signal, onOffset });
  }

  forget(ref: string): Promise<void> {
    return forgetIngest(this.#content, ref, this.#options);
  }

  /** Whether the blob is there; if so it is the lease's from now on, and has the labels. */
  async #adopt({ descriptor, labels }: BlobToStore, signal: AbortSignal): Promise<boolean> {
    const { digest, size } = descriptor;
    const options = { ...this.#options, signal };
    try {
      const { info } = await this.#content.info({ digest }, options);
      if (!(await this.#isLeased(refKey(descriptor), digest, size, options))) return false;
      const more = labelsToAdd(info?.labels ?? {}, labels);
      const paths = Object.keys(more).map((key) => `labels.${key}`);
      if (paths.length > 0) {
        await this.#content.update({ info: { digest, labels: more }, updateMask: { paths } }, options);
      }
      return true;
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
  }

  /** Only opening a writer asks for a blob and gives it to the lease in one step: between two, it may be collected. */
  async #isLeased(ref: string, digest: string, sizeBytes: number, options: CallOptions): Promise<boolean> {
    const stat = { action: WriteAction.STAT, ref, expected: digest, total: BigInt(sizeBytes) };
    try {
      for await (const _ of this.#content.write(only(stat), options));
      return false;
    } catch (error) {
      if (isKind(error, 'AlreadyExists')) return true;
      throw error;
    }
  }
}

const NO_CLAIM: Claim = {
  lost: new AbortController().signal,
  report: () => undefined,
  release: async () => undefined,
};

/** What is missing; repositories that a blob came from add up. Source: containerd core/remotes/docker/handler.go. */
function labelsToAdd(stored: Readonly<Labels>, wanted: Readonly<Labels>): Labels {
  const more: Labels = {};
  for (const [key, value] of Object.entries(wanted)) {
    const joined = key.startsWith(SOURCE_LABEL) ? joinedSources(stored[key], value) : value;
    if (stored[key] !== joined) more[key] = joined;
  }
  return more;
}

function joinedSources(stored = '', repository: string): string {
  return [...new Set([...stored.split(','), repository])].filter(Boolean).sort().join(',');
}

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
