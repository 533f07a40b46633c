import { setTimeout as delay } from 'node:timers/promises';
import { isKind, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Descriptor, Reference } from '@longshore/oci';
import type { BlobUpload } from './blob-upload.ts';
import { registryError } from './registry-error.ts';
import { type RegistryAccess, RegistrySession, subjectOf, wordsOf } from './registry-session.ts';
import type { HttpResponse, RegistryTransport } from './registry-transport.ts';
import { type UploadCall, UploadSession } from './upload-session.ts';
import { UploadSource } from './upload-source.ts';

/** `mounted`: the registry has taken it from another repository. */
export type UploadOutcome = 'exists' | 'mounted' | 'uploaded';

/** Of a blob that does not get through whole: small enough for proxies, many enough to be worth while. */
const CHUNK_BYTES = 16 * 1024 * 1024;
/** Attempts at a chunk without a byte between them. */
const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 4_000, attempts: 5 };
/** Each is a round trip, and few blobs are in many. */
const MAX_MOUNTS = 3;

/** Puts images to the registry of one reference's host, for one caller. Errors are as those of `RegistryClient`. */
export class RegistryPusher {
  readonly #session: RegistrySession;

  constructor(transport: RegistryTransport, host: string, access: RegistryAccess = {}) {
    this.#session = new RegistrySession(transport, host, access);
  }

  /**
   * Has the registry have a blob: nothing is sent that is there, in this repository or one that it may be mounted from. It goes in one
   * request, and when that is cut or too large in chunks, each of them begun again where the registry says that it ended.
   */
  async upload({ locator, repository }: Reference, upload: BlobUpload): Promise<UploadOutcome> {
    const { digest, size } = upload.descriptor;
    const subject = `blob ${digest} to ${locator}`;
    const call: UploadCall = { session: this.#session, repository, subject, signal: upload.signal };
    if (await this.#has(call, digest)) return 'exists';
    const opened = await this.#mountOrOpen(call, upload);
    if (opened === 'mounted') return 'mounted';
    const source = new UploadSource(upload);
    const whole = new UploadSession(call, opened);
    try {
      if (await whole.putWhole(digest, size, () => source.read(0, size))) return 'uploaded';
      await whole.cancel();
    } catch (error) {
      await whole.cancel();
      source.rethrow();
      if (!isKind(error, 'Unavailable') || upload.signal?.aborted) throw error;
    }
    await this.#inChunks(call, upload, source);
    return 'uploaded';
  }

  /** By tag, or by digest where there is none. What it names is to be there before. */
  async putManifest(
    reference: Reference,
    { mediaType, digest }: Descriptor,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<void> {
    const { repository, tag } = reference;
    const subject = subjectOf(reference);
    const response = await this.#session.send({
      method: 'PUT',
      path: `/v2/${repository}/manifests/${tag || digest}`,
      repository,
      subject,
      actions: 'pull,push',
      headers: { 'content-type': mediaType },
      body: bytes,
      signal,
    });
    const words = await wordsOf(response);
    if (response.statusCode !== 201 && response.statusCode !== 202) {
      throw registryError(subject, response.statusCode, words);
    }
  }

  /** Whether a manifest is there, under its tag if it has one. */
  async hasManifest(reference: Reference, { digest }: Descriptor, signal?: AbortSignal): Promise<boolean> {
    const { repository, tag } = reference;
    const response = await this.#session.send({
      method: 'HEAD',
      path: `/v2/${repository}/manifests/${tag || digest}`,
      repository,
      subject: subjectOf(reference),
      actions: 'pull,push',
      headers: { accept: '*/*' },
      signal,
    });
    await response.body.dump();
    if (response.statusCode !== 200) return false;
    return tag === '' || [response.headers['docker-content-digest']].flat()[0] === digest;
  }

  async #has(call: UploadCall, digest: string): Promise<boolean> {
    const path = `/v2/${call.repository}/blobs/${digest}`;
    const response = await this.#session.send({ ...call, method: 'HEAD', path, actions: 'pull,push' });
    await response.body.dump();
    const { statusCode } = response;
    if (statusCode === 200) return true;
    if (statusCode === 404) return false;
    throw registryError(call.subject, statusCode, '');
  }

  async #mountOrOpen(
    call: UploadCall,
    { descriptor: { digest }, mountFrom = [] }: BlobUpload,
  ): Promise<'mounted' | HttpResponse> {
    const others = mountFrom.filter((repository) => repository !== call.repository);
    for (const from of others.slice(0, MAX_MOUNTS)) {
      const query = new URLSearchParams({ mount: digest, from });
      const response = await this.#open(call, `?${query}`, from).catch((error: unknown) => {
        // Whoever may push here need not be allowed to read there.
        if (isKind(error, 'Unauthenticated', 'PermissionDenied', 'NotFound')) return undefined;
        throw error;
      });
      if (response?.statusCode === 201) return 'mounted';
      if (response) return response;
    }
    return this.#open(call, '');
  }

  async #open(call: UploadCall, query: string, from?: string): Promise<HttpResponse> {
    const path = `/v2/${call.repository}/blobs/uploads/${query}`;
    const headers = { 'content-length': '0' };
    const response = await this.#session.send({
      ...call,
      method: 'POST',
      path,
      actions: 'pull,push',
      from,
      headers,
    });
    const words = await wordsOf(response);
    if (response.statusCode === 202 || (from && response.statusCode === 201)) return response;
    throw registryError(call.subject, response.statusCode, words);
  }

  async #inChunks(call: UploadCall, upload: BlobUpload, source: UploadSource): Promise<void> {
    const { digest, size } = upload.descriptor;
    const session = new UploadSession(call, await this.#open(call, ''));
    try {
      for (let failures = 0; session.offsetBytes < size; ) {
        const start = session.offsetBytes;
        const length = Math.min(CHUNK_BYTES, size - start);
        try {
          await session.patch(length, () => source.read(start, length));
          failures = 0;
        } catch (error) {
          source.rethrow();
          failures += 1;
          if (!isKind(error, 'Unavailable') || failures === RETRY.attempts) throw error;
          await delay(retryDelayMs(RETRY, failures), undefined, call.signal ? { signal: call.signal } : {});
          await session.resume();
          if (session.offsetBytes > start) failures = 0;
        }
      }
      await session.finish(digest);
    } catch (error) {
      await session.cancel();
      throw error;
    }
  }
}
