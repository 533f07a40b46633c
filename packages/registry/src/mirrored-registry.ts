import { failedPrecondition, isKind, type RetryPolicy } from '@longshore/errors';
import type { Descriptor, Reference } from '@longshore/oci';
import type { CredentialSource } from './credentials.ts';
import { type FetchedManifest, RegistryClient } from './registry-client.ts';
import { plainRegistryHost, type RegistryHost } from './registry-host.ts';
import { RegistryPusher } from './registry-pusher.ts';
import type { RegistryAccess } from './registry-session.ts';
import { RegistryTransport } from './registry-transport.ts';

/** Where another host can be tried, nobody waits long for this one. */
const HASTY: RetryPolicy = { initialDelayMs: 250, maxDelayMs: 250, attempts: 2 };

interface Place {
  host: RegistryHost;
  /** As in references. */
  name: string;
  transport: RegistryTransport;
  access: RegistryAccess;
  client: RegistryClient;
}

/**
 * A registry at several hosts, which are tried in their order: what one lacks, refuses or gives damaged, the next is asked for. Each has
 * connections, credentials and tokens of its own, and nothing that is meant for one is sent to another. Made for one caller's transfer.
 * Throws what the first of them failed with, NotFound when none has it.
 */
export class MirroredRegistry implements AsyncDisposable {
  readonly #places: readonly Place[];
  readonly #registry: string;
  /** Asked last from now on. */
  readonly #away = new Set<Place>();

  /** `registry` as in references. The source is asked with the name of each host that wants to know who calls. */
  constructor(registry: string, hosts: readonly RegistryHost[], credentials?: CredentialSource) {
    this.#registry = registry;
    this.#places = hosts.map((host, index) =>
      placeOf(registry, host, credentials, index === hosts.length - 1 ? undefined : HASTY),
    );
  }

  /** A manifest or index by tag or, verified, by digest. */
  manifest(reference: Reference, signal?: AbortSignal): Promise<FetchedManifest> {
    if (reference.digest !== '') {
      return this.#first('pull', signal, ({ client }) => client.manifest(reference, signal));
    }
    return this.#first('resolve', signal, async ({ client, host }) => {
      if (host.capabilities.has('pull')) return client.manifest(reference, signal);
      const { digest } = await client.resolve(reference, signal);
      return this.manifest({ ...reference, digest }, signal);
    });
  }

  /** The bytes of a blob from `offsetBytes` on; another host goes on where one has ended. As `RegistryClient.blob` otherwise. */
  async *blob(
    reference: Reference,
    descriptor: Descriptor,
    { offsetBytes = 0, signal }: { offsetBytes?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Buffer> {
    let offset = offsetBytes;
    const failures: unknown[] = [];
    for (const place of this.#able('pull')) {
      try {
        for await (const chunk of place.client.blob(reference, descriptor, { offsetBytes: offset, signal })) {
          offset += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        // Damage that has been handed on cannot be taken back.
        if (signal?.aborted || (isKind(error, 'DataLoss') && offset > offsetBytes)) throw error;
        this.#note(place, error, failures);
      }
    }
    throw this.#failureOf(failures, 'pull');
  }

  /** Puts images to the first host that takes them. Throws FailedPrecondition where none does. */
  pusher(): RegistryPusher {
    const [place] = this.#able('push');
    if (!place) throw this.#failureOf([], 'push');
    return new RegistryPusher(place.transport, place.name, place.access);
  }

  async close(): Promise<void> {
    await Promise.all(this.#places.map(({ transport }) => transport.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #first<T>(
    capability: 'pull' | 'resolve',
    signal: AbortSignal | undefined,
    work: (place: Place) => Promise<T>,
  ): Promise<T> {
    const failures: unknown[] = [];
    for (const place of this.#able(capability)) {
      try {
        return await work(place);
      } catch (error) {
        if (signal?.aborted) throw error;
        this.#note(place, error, failures);
      }
    }
    throw this.#failureOf(failures, capability);
  }

  #able(capability: 'pull' | 'resolve' | 'push'): Place[] {
    const able = this.#places.filter(({ host }) => host.capabilities.has(capability));
    return able.toSorted((a, b) => Number(this.#away.has(a)) - Number(this.#away.has(b)));
  }

  #note(place: Place, error: unknown, failures: unknown[]): void {
    failures.push(error);
    if (isKind(error, 'Unavailable')) this.#away.add(place);
  }

  /** That it is nowhere says less than that one could not be asked. */
  #failureOf(failures: readonly unknown[], capability: string): unknown {
    const registry = `registry ${JSON.stringify(this.#registry)}`;
    if (failures.length === 0) return failedPrecondition(`${registry}: no host of it is for ${capability}`);
    return failures.find((error) => !isKind(error, 'NotFound')) ?? failures[0];
  }
}

function placeOf(
  registry: string,
  host: RegistryHost,
  credentials: CredentialSource | undefined,
  retry: RetryPolicy | undefined,
): Place {
  const { endpoint, ca, clients, skipsVerification, headers } = host;
  const isItself = [true, false].some(
    (plainHttp) => new URL(plainRegistryHost(registry, plainHttp).endpoint).host === new URL(endpoint).host,
  );
  const name = isItself ? registry : new URL(endpoint).host;
  const transport = new RegistryTransport({ ca, clients, skipsVerification, ...(retry && { retry }) });
  const access = { credentials, headers, endpoint, ...(!isItself && { mirrorOf: registry }) };
  return { host, name, transport, access, client: new RegistryClient(transport, name, access) };
}
