import { existsSync, readFileSync, renameSync, watch, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guard, makeBucket, type S3Bucket, type S3Server, startRadosgw, until } from '@longshore/local';

const READY_TIMEOUT_MS = 120_000;

/**
 * Offers one S3 server to all test files: it is started when the first of them asks, by a file `wanted` in the directory
 * that `LONGSHORE_TEST_S3` names, and described by `s3.json` there; or the operator's own, when `S3_ENDPOINT` is set, with
 * `S3_ACCESS_KEY`, `S3_SECRET_KEY`, `S3_BUCKET` and `S3_REGION`. Answers what ends it.
 */
export async function offerS3(): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'longshore-test-s3-'));
  guard().removeWithUs(directory);
  process.env.LONGSHORE_TEST_S3 = directory;
  let starting: Promise<S3Server | undefined> | undefined;
  const watcher = watch(directory, (_, name) => {
    if (name === 'wanted') starting ??= start(directory);
  });
  // Waiting for a test that asks is no reason to stay.
  watcher.unref();
  return async () => {
    watcher.close();
    await (await starting)?.close();
    await rm(directory, { recursive: true, force: true });
  };
}

/** For a test: the server that all share. Use a prefix of your own. */
export async function sharedS3(): Promise<S3Bucket> {
  const directory = process.env.LONGSHORE_TEST_S3 ?? '';
  writeFileSync(join(directory, 'wanted'), '');
  const path = join(directory, 's3.json');
  if (!(await until(() => existsSync(path), READY_TIMEOUT_MS)))
    throw new Error('the S3 server has not started');
  const described = JSON.parse(readFileSync(path, 'utf8'));
  if ('error' in described) throw new Error(`the S3 server has not started: ${described.error}`);
  return described;
}

async function start(directory: string): Promise<S3Server | undefined> {
  const describe = (value: object) => {
    writeFileSync(join(directory, 's3.json.new'), JSON.stringify(value), { mode: 0o600 });
    renameSync(join(directory, 's3.json.new'), join(directory, 's3.json'));
  };
  try {
    const own = operatorsOwn();
    const server = own ? undefined : await startRadosgw(join(directory, 'server'));
    if (own) await makeBucket(own);
    const { endpoint, region, bucket, accessKey, secretKey } = own ?? server!;
    describe({ endpoint, region, bucket, accessKey, secretKey });
    return server;
  } catch (error) {
    describe({ error: String(error) });
    return undefined;
  }
}

function operatorsOwn(): S3Bucket | undefined {
  const { S3_ENDPOINT, S3_ACCESS_KEY = '', S3_SECRET_KEY = '', S3_BUCKET, S3_REGION } = process.env;
  if (!S3_ENDPOINT) return undefined;
  return {
    endpoint: S3_ENDPOINT,
    region: S3_REGION ?? 'us-east-1',
    bucket: S3_BUCKET ?? 'longshore-test',
    accessKey: S3_ACCESS_KEY,
    secretKey: S3_SECRET_KEY,
  };
}
