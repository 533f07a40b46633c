import { failedPrecondition, LongshoreError, messageOf, notFound, unavailable } from '@longshore/errors';
import {
  type Descriptor,
  digestOf,
  formatReference,
  isDigest,
  MediaType,
  parseDigest,
  type Reference,
} from '@longshore/oci';
import { registryError } from './registry-error.ts';
import { type RegistryAccess, RegistrySession, subjectOf, wordsOf } from './registry-session.ts';
import { type HttpResponse, headerOf, type RegistryTransport } from './registry-transport.ts';
import { type Opened, readResumed } from './resumed.ts';
import { verifyWhole } from './verified.ts';

export interface FetchedManifest {
  descriptor: Descriptor;
  bytes: Buffer;
}

const MANIFEST_ATTEMPTS = 3;
/** The distribution specification asks for 4 MiB. */
const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
const ACCEPTED = [
  MediaType.OciIndex,
  MediaType.OciManifest,
  MediaType.DockerIndex,
  MediaType.DockerManifest,
  '*/*',
].join(', ');

/**
 * The registry of one reference's host, for one caller: tokens and credentials are never another's. Errors are of the
 * kinds of `@longshore/errors`, with the registry's own words. Source: OCI distribution-spec spec.md.
 */
export class RegistryClient {
  /** As in references. */
  readonly host: string;
  readonly #session: RegistrySession;

  constructor(transport: RegistryTransport, host: string, access: RegistryAccess = {}) {
    this.host = host;
    this.#session = new RegistrySession(transport, host, access);
  }

  /** What a tag or digest stands for, without its bytes. Throws NotFound. */
  async resolve(reference: Reference, signal?: AbortSignal): Promise<Descriptor> {
    const path = manifestPath(reference);
    const response = await this.#send('HEAD', path, reference, { accept: ACCEPTED }, signal);
    await response.body.dump();
    const digest = headerOf(response, 'docker-content-digest');
    const size = Number(headerOf(response, 'content-length'));
    // A registry that says too little is asked for the whole.
    if (response.statusCode !== 200 || !digest || !isDigest(digest) || !(size > 0)) {
      return (await this.manifest(reference, signal)).descriptor;
    }
    return { mediaType: mediaTypeOf(response), digest, size };
  }

  /** A manifest or index by tag or, verified, by digest. Throws NotFound, DataLoss for other bytes than asked for. */
  async manifest(reference: Reference, signal?: AbortSignal): Promise<FetchedManifest> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#manifestOnce(reference, signal);
      } catch (error) {
        signal?.throwIfAborted();
        // All others are of a kind; a connection that ends within the document has none.
        if (error instanceof LongshoreError) throw error;
        if (attempt < MANIFEST_ATTEMPTS) continue;
        throw unavailable(`${subjectOf(reference)}: ${this.#self} ends the stream: ${messageOf(error)}`, {
          cause: error,
        });
      }
    }
  }

  /**
   * The bytes of a blob from `offsetBytes` on, verified while they come, and resumed when the connection is cut. To be
   * read to the end, or left with `return`. Throws NotFound, DataLoss for wrong bytes.
   */
  blob(
    { locator, repository }: Reference,
    { digest, size }: Descriptor,
    { offsetBytes = 0, signal }: { offsetBytes?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Buffer> {
    const reference = { locator, repository, object: `@${digest}` };
    const path = `/v2/${repository}/blobs/${digest}`;
    const open = async (offset: number): Promise<Opened> => {
      const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
      const response = await this.#send('GET', path, reference, range, signal);
      const { statusCode, body } = response;
      if (statusCode === 200) return { startBytes: 0, bytes: body };
      if (statusCode === 206) return { startBytes: rangeStartOf(response, offset), bytes: body };
      throw registryError(`blob ${digest} of ${locator}`, statusCode, await wordsOf(response));
    };
    const expected = { digest, sizeBytes: size, offsetBytes };
    return readResumed({ subject: this.#self, expected, open, signal });
  }

  get #self(): string {
    return this.#session.subject;
  }

  async #manifestOnce(reference: Reference, signal: AbortSignal | undefined): Promise<FetchedManifest> {
    const subject = subjectOf(reference);
    const response = await this.#send(
      'GET',
      manifestPath(reference),
      reference,
      { accept: ACCEPTED },
      signal,
    );
    if (response.statusCode !== 200)
      throw registryError(subject, response.statusCode, await wordsOf(response));
    const bytes = await readLimited(response, subject);
    const digest = reference.digest === '' ? digestOf(bytes) : parseDigest(reference.digest);
    const descriptor = { mediaType: mediaTypeIn(bytes) ?? mediaTypeOf(response), digest, size: bytes.length };
    verifyWhole(this.#self, descriptor, bytes);
    return { descriptor, bytes };
  }

  #send(
    method: 'GET' | 'HEAD',
    path: string,
    reference: Pick<Reference, 'locator' | 'repository' | 'object'>,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<HttpResponse> {
    const { repository } = reference;
    return this.#session.send({ method, path, repository, subject: subjectOf(reference), headers, signal });
  }
}

function manifestPath({ repository, tag, digest, ...rest }: Reference): string {
  if (repository === '')
    throw notFound(`image ${JSON.stringify(formatReference(rest))}: no repository named`);
  return `/v2/${repository}/manifests/${digest || tag || 'latest'}`;
}

function mediaTypeOf(response: HttpResponse): string {
  return headerOf(response, 'content-type')?.split(';', 1)[0]?.trim() ?? '';
}

/** What the document says of itself, which its digest covers, unlike the header. */
function mediaTypeIn(bytes: Buffer): string | undefined {
  try {
    const { mediaType } = Object(JSON.parse(bytes.toString())) as { mediaType?: unknown };
    return typeof mediaType === 'string' && mediaType !== '' ? mediaType : undefined;
  } catch (error) {
    throw failedPrecondition('manifest is not JSON', { cause: error });
  }
}

/** A range that begins elsewhere than asked would be taken for other bytes. */
function rangeStartOf(response: HttpResponse, asked: number): number {
  const start = Number(/^bytes (\d+)-/.exec(headerOf(response, 'content-range') ?? '')?.[1] ?? asked);
  if (start <= asked) return start;
  throw new LongshoreError(
    'DataLoss',
    `registry answered bytes from ${start} on, asked for ${asked}: data loss`,
  );
}

async function readLimited({ body }: HttpResponse, subject: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_MANIFEST_BYTES) {
      throw new LongshoreError(
        'ResourceExhausted',
        `${subject}: manifest is larger than ${MAX_MANIFEST_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
