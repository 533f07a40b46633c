import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { isKind, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import { Client } from 'minio';
import { codeOf, fromS3Error, isMissing, isPassing, S3StatusError } from './s3-error.ts';
import type { S3Options } from './s3-options.ts';
import { S3Transport } from './s3-transport.ts';

const RETRY: RetryPolicy = { initialDelayMs: 100, maxDelayMs: 3000, attempts: 6 };
const PAGE_SIZE = 1000;
/** Hashing so much takes about a millisecond; others have their turn in between. */
const HASH_TURN_BYTES = 1024 * 1024;

export interface ListedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly changedAt: Date;
}

/** A multipart upload that was neither completed nor aborted. */
export interface OpenUpload {
  readonly key: string;
  readonly id: string;
  readonly startedAt: Date;
}

/** Bytes from `start` up to `end` of an object. */
export interface ObjectRange {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

export interface UploadedPart {
  readonly part: number;
  readonly etag: string;
}

/** Buffers, one behind the other. They must not change while a request is under way. */
export type Body = readonly Uint8Array[];

/**
 * One bucket, by the `minio` client. All that it asks for may be asked again, and is, for a while, with growing pauses, when
 * the server says "not now", says nothing, or the connection breaks. Errors: NotFound for an object that is not there,
 * ResourceExhausted for a store that is full, Unavailable for all else.
 */
export class S3Bucket {
  readonly #client: Client;
  readonly #publicClient: Client;
  readonly #transport: S3Transport;
  readonly #options: S3Options;
  readonly #signsBodies: boolean;

  constructor(options: S3Options) {
    const { endpoint, publicEndpoint, ca, timeoutMs } = options;
    this.#options = options;
    // TLS vouches for what it carries; without it, the signature does.
    this.#signsBodies = endpoint.protocol === 'http:';
    this.#transport = new S3Transport(endpoint.protocol === 'https:', ca, timeoutMs);
    this.#client = clientFor(endpoint, options, this.#transport);
    this.#publicClient = clientFor(publicEndpoint, options, this.#transport);
  }

  /** Throws Unavailable, which says what is wrong with the bucket. */
  async check(): Promise<void> {
    const { bucket, endpoint } = this.#options;
    const subject = `bucket "${bucket}" at ${endpoint.origin}`;
    const exists = await this.#repeat(subject, () => this.#client.bucketExists(bucket));
    if (!exists) throw fromS3Error(new S3StatusError(404, 'NoSuchBucket'), subject);
  }

  async put(key: string, body: Body): Promise<void> {
    await this.#send(key, '', body);
  }

  /** The size in bytes. */
  async sizeOf(key: string): Promise<number> {
    const { bucket } = this.#options;
    const stat = this.#repeat(`object ${key}`, () => this.#client.statObject(bucket, key));
    const { size } = await stat.catch(async (error) => {
      // The answer has no body that would tell a missing object from a missing bucket.
      if (isKind(error, 'NotFound')) await this.check();
      throw error;
    });
    return size;
  }

  /**
   * The body of one answer, once it has begun; it may end early, with an error or without. It is to be read to its end or
   * destroyed.
   */
  async get({ key, start, end }: ObjectRange): Promise<IncomingMessage> {
    const { bucket: bucketName } = this.#options;
    const headers = { range: `bytes=${start}-${end - 1}` };
    const request = { method: 'GET', bucketName, objectName: key, headers };
    return this.#repeat(`object ${key}`, async () => {
      const response = await this.#client.makeRequestAsync(request, '', [206]);
      const range = response.headers['content-range'] ?? '';
      if (range.startsWith(`bytes ${start}-${end - 1}/`)) return response;
      response.destroy();
      throw new S3StatusError(206, 'InvalidRange');
    });
  }

  /** Removing what is not there succeeds. */
  async remove(key: string): Promise<void> {
    const { bucket } = this.#options;
    await this.#repeat(`object ${key}`, () => this.#client.removeObject(bucket, key)).catch(unlessMissing);
  }

  /** Removing what is not there succeeds. */
  async removeAll(keys: readonly string[]): Promise<void> {
    const { bucket } = this.#options;
    for (let at = 0; at < keys.length; at += PAGE_SIZE) {
      const page = keys.slice(at, at + PAGE_SIZE);
      if (page.length === 1) return this.remove(page[0]!);
      await this.#repeat('objects', async () => {
        const results = await this.#client.removeObjects(bucket, page);
        const failed = results.find((result) => result?.Error)?.Error as { Code?: string } | undefined;
        if (failed && failed.Code !== 'NoSuchKey')
          throw new S3StatusError(200, failed.Code ?? 'InternalError');
      });
    }
  }

  /** In the order of the keys. */
  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const { bucket } = this.#options;
    for (let after = ''; ; ) {
      const { objects, isTruncated } = await this.#repeat(`objects ${prefix}`, () =>
        this.#client.listObjectsV2Query(bucket, prefix, '', '', PAGE_SIZE, after),
      );
      for (const { name, size, lastModified } of objects) {
        if (name === undefined) continue;
        yield { key: name, sizeBytes: size, changedAt: new Date(lastModified ?? 0) };
        after = name;
      }
      if (!isTruncated || objects.length === 0) return;
    }
  }

  async startUpload(key: string): Promise<string> {
    const { bucket } = this.#options;
    return this.#repeat(`object ${key}`, () => this.#client.initiateNewMultipartUpload(bucket, key, {}));
  }

  async uploadPart(key: string, id: string, part: number, body: Body): Promise<UploadedPart> {
    const response = await this.#send(key, `partNumber=${part}&uploadId=${encodeURIComponent(id)}`, body);
    return { part, etag: etagOf(response) };
  }

  /** The server copies the bytes; they do not come here. */
  async copyPart(key: string, id: string, part: number, source: ObjectRange): Promise<UploadedPart> {
    const { bucket: bucketName } = this.#options;
    const headers = {
      'x-amz-copy-source': encodeURI(`/${bucketName}/${source.key}`),
      'x-amz-copy-source-range': `bytes=${source.start}-${source.end - 1}`,
    };
    const uploadID = encodeURIComponent(id);
    const config = { bucketName, objectName: key, uploadID, partNumber: part, headers };
    return this.#repeat(`object ${source.key}`, async () => {
      const { etag } = await this.#client.uploadPart({ ...config, headers: { ...headers } });
      // A failure may come with a status of success.
      if (!etag) throw new S3StatusError(200, 'InternalError');
      return { part, etag };
    });
  }

  /** Makes the object of its parts. Resolves, too, when an earlier attempt was heard and its answer lost. */
  async completeUpload(
    key: string,
    id: string,
    parts: readonly UploadedPart[],
    sizeBytes: number,
  ): Promise<void> {
    const { bucket } = this.#options;
    await this.#repeat(`object ${key}`, async () => {
      try {
        await this.#client.completeMultipartUpload(bucket, key, id, [...parts]);
      } catch (error) {
        if (codeOf(error) === 'NoSuchUpload' && (await this.#hasSize(key, sizeBytes))) return;
        // A failure may come with a status of success, and then without a code.
        throw codeOf(error) === '' ? new S3StatusError(200, 'InternalError') : error;
      }
    });
    const found = await this.sizeOf(key);
    if (found !== sizeBytes) {
      throw fromS3Error(new S3StatusError(200, `has ${found} bytes, not ${sizeBytes}`), `object ${key}`);
    }
  }

  /** Aborting what is not there succeeds. */
  async abortUpload(key: string, id: string): Promise<void> {
    const { bucket } = this.#options;
    await this.#repeat(`object ${key}`, () =>
      this.#client.abortMultipartUpload(bucket, key, encodeURIComponent(id)),
    ).catch(unlessMissing);
  }

  async *openUploads(prefix: string): AsyncGenerator<OpenUpload> {
    const { bucket } = this.#options;
    for (let [afterKey, afterId] = ['', '']; ; ) {
      const page = await this.#repeat(`uploads ${prefix}`, () =>
        this.#client.listIncompleteUploadsQuery(bucket, prefix, afterKey, afterId, ''),
      );
      for (const { key, uploadId, initiated } of page.uploads) {
        yield { key, id: uploadId, startedAt: new Date(initiated) };
      }
      if (!page.isTruncated) return;
      [afterKey, afterId] = [page.nextKeyMarker, page.nextUploadIdMarker];
    }
  }

  /** A secret: whoever has it can read the object. Asks nobody. */
  presign(key: string, lifetimeMs: number): Promise<string> {
    const { bucket } = this.#options;
    return this.#publicClient.presignedGetObject(bucket, key, Math.ceil(lifetimeMs / 1000));
  }

  close(): void {
    this.#transport.close();
  }

  async #hasSize(key: string, sizeBytes: number): Promise<boolean> {
    return (
      (await this.#client.statObject(this.#options.bucket, key).catch(() => undefined))?.size === sizeBytes
    );
  }

  async #send(key: string, query: string, body: Body): Promise<IncomingMessage> {
    const { bucket: bucketName } = this.#options;
    const sizeBytes = body.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const sha256 = this.#signsBodies ? await sha256Of(body) : '';
    return this.#repeat(`object ${key}`, async () => {
      const headers = { 'content-length': String(sizeBytes) };
      const request = { method: 'PUT', bucketName, objectName: key, query, headers };
      const bytes = Readable.from(body, { objectMode: false });
      try {
        const response = await this.#client.makeRequestStreamAsync(request, bytes, sha256, [200], '');
        for await (const _ of response);
        return response;
      } finally {
        bytes.destroy();
      }
    });
  }

  async #repeat<T>(subject: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isPassing(error) || attempt === RETRY.attempts) throw fromS3Error(error, subject);
        await sleep(retryDelayMs(RETRY, attempt));
      }
    }
  }
}

function clientFor(endpoint: URL, options: S3Options, transport: S3Transport): Client {
  const { region, accessKey, secretKey, pathStyle } = options;
  const useSSL = endpoint.protocol === 'https:';
  return new Client({
    endPoint: endpoint.hostname,
    port: Number(endpoint.port) || (useSSL ? 443 : 80),
    useSSL,
    region,
    accessKey,
    secretKey,
    pathStyle,
    transport: transport as unknown as typeof import('node:http'),
    transportAgent: transport.agent,
    retryOptions: { disableRetry: true },
  });
}

async function sha256Of(body: Body): Promise<string> {
  const hash = createHash('sha256');
  let sinceTurn = 0;
  for (const bytes of body) {
    hash.update(bytes);
    sinceTurn += bytes.byteLength;
    if (sinceTurn < HASH_TURN_BYTES) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  return hash.digest('hex');
}

function etagOf({ headers }: IncomingMessage): string {
  return (headers.etag ?? '').replaceAll('"', '');
}

function unlessMissing(error: unknown): void {
  if (!isMissing((error as Error).cause)) throw error;
}
