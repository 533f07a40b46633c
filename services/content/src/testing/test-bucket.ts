import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3Bucket } from '../storage/s3/s3-bucket.ts';
import type { S3Options } from '../storage/s3/s3-options.ts';

/** The server is fetched, at most, and started. */
export const S3_START_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** A part of the bucket that the test run shares, for one test file. */
export interface TestBucket {
  /** For a driver of its own. `overrides` may name another server before it. */
  options(overrides?: Partial<S3Options>): S3Options;
  /** For a service. */
  env(overrides?: Partial<S3Options>): NodeJS.ProcessEnv;
  /** What is stored, also of uploads that were not completed, without the prefix. */
  keys(): Promise<string[]>;
  /** Removes what is left. */
  close(): Promise<void>;
}

/** Starts the S3 server of the test run, unless it is there. Source: test/harness/shared-s3.ts. */
export async function createTestBucket(): Promise<TestBucket> {
  const server = await sharedServer();
  const prefix = `${randomUUID()}/`;
  const endpoint = new URL(server.endpoint);
  const defaults = { ...server, endpoint, publicEndpoint: endpoint, prefix, pathStyle: true, ca: undefined };
  const options = (overrides: Partial<S3Options> = {}): S3Options => ({
    ...defaults,
    timeoutMs: 5000,
    ...overrides,
  });
  const bucket = new S3Bucket(options());
  return {
    options,
    env: (overrides) => envOf(options(overrides)),
    async keys() {
      const objects = await Array.fromAsync(bucket.list(prefix));
      const uploads = await Array.fromAsync(bucket.openUploads(prefix));
      return [...objects, ...uploads].map(({ key }) => key.slice(prefix.length)).sort();
    },
    async close() {
      const objects = await Array.fromAsync(bucket.list(prefix));
      await bucket.removeAll(objects.map(({ key }) => key));
      for await (const { key, id } of bucket.openUploads(prefix)) await bucket.abortUpload(key, id);
      bucket.close();
    },
  };
}

function envOf(options: S3Options): NodeJS.ProcessEnv {
  return {
    LONGSHORE_CONTENT_DRIVER: 's3',
    LONGSHORE_CONTENT_S3_ENDPOINT: options.endpoint.origin,
    LONGSHORE_CONTENT_S3_PUBLIC_URL: options.publicEndpoint.origin,
    LONGSHORE_CONTENT_S3_REGION: options.region,
    LONGSHORE_CONTENT_S3_BUCKET: options.bucket,
    LONGSHORE_CONTENT_S3_PREFIX: options.prefix,
    LONGSHORE_CONTENT_S3_ACCESS_KEY: options.accessKey,
    LONGSHORE_CONTENT_S3_SECRET_KEY: options.secretKey,
    LONGSHORE_CONTENT_S3_TIMEOUT_MS: String(options.timeoutMs),
  };
}

interface Described {
  endpoint: string;
  region: string;
  bucket: string;
  accessKey: string;
  secretKey: string;
}

async function sharedServer(): Promise<Described> {
  const directory = process.env.LONGSHORE_TEST_S3 ?? '';
  writeFileSync(join(directory, 'wanted'), '');
  const path = join(directory, 's3.json');
  for (const deadline = performance.now() + S3_START_TIMEOUT_MS; !existsSync(path); await sleep(POLL_MS)) {
    if (performance.now() > deadline) throw new Error('the S3 server has not started');
  }
  const described = JSON.parse(readFileSync(path, 'utf8'));
  if ('error' in described) throw new Error(`the S3 server has not started: ${described.error}`);
  return described;
}
