import { readFileSync } from 'node:fs';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { ConfigOf } from '@longshore/kit';
import type { keys } from '../config.ts';
import type { BlobStore } from '../domain/blob-store.ts';
import { DirectoryBlobStore } from './directory/directory-blob-store.ts';
import type { S3Options } from './s3/s3-options.ts';

type Config = ConfigOf<typeof keys>;

export interface OpenedStore {
  readonly store: BlobStore;
  /** Whether URLs lead to the store itself. */
  readonly givesUrls: boolean;
  close(): void;
}

/**
 * The blob store that the configuration names. Throws FailedPrecondition for keys that are missing, and Unavailable, saying
 * which, when a bucket is not there or not ours to use.
 */
export async function openBlobStore(config: Config): Promise<OpenedStore> {
  if (config.driver === 'directory') {
    return { store: new DirectoryBlobStore(config.directory), givesUrls: false, close: () => undefined };
  }
  const options = s3Options(config);
  // Takes some 25 MB, which a service with a directory is spared.
  const { S3BlobStore } = await import('./s3/s3-blob-store.ts');
  const store = new S3BlobStore(options);
  try {
    await store.check();
  } catch (error) {
    store.close();
    throw error;
  }
  return { store, givesUrls: true, close: () => store.close() };
}

function s3Options(config: Config): S3Options {
  const { s3Endpoint, s3PublicUrl, s3Bucket, s3AccessKey, s3SecretKey } = config;
  const required = {
    ENDPOINT: s3Endpoint,
    BUCKET: s3Bucket,
    ACCESS_KEY: s3AccessKey,
    SECRET_KEY: s3SecretKey,
  };
  const missing = Object.entries(required).filter(([, value]) => value === '');
  if (missing.length > 0) {
    const names = missing.map(([name]) => `LONGSHORE_CONTENT_S3_${name}`);
    throw failedPrecondition(`driver "s3" needs ${names.join(', ')}`);
  }
  return {
    endpoint: new URL(s3Endpoint),
    publicEndpoint: new URL(s3PublicUrl),
    region: config.s3Region,
    bucket: s3Bucket,
    prefix: config.s3Prefix,
    pathStyle: config.s3PathStyle,
    ca: config.s3Ca === '' ? undefined : readCa(config.s3Ca),
    accessKey: s3AccessKey,
    secretKey: s3SecretKey,
    timeoutMs: config.s3TimeoutMs,
  };
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failedPrecondition(`LONGSHORE_CONTENT_S3_CA ${JSON.stringify(path)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
