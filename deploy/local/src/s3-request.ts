import { createHash, createHmac } from 'node:crypto';
import { unavailable } from '@longshore/errors';

/** How a bucket is reached. */
export interface S3Bucket {
  /** e.g. `http://127.0.0.1:7480`; the bucket is the first part of the path. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
}

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** Makes the bucket unless it is there. */
export async function makeBucket(bucket: S3Bucket): Promise<void> {
  await request(bucket, 'PUT', {});
}

/** The keys of all objects that begin with `prefix`, and of uploads that were not completed. */
export async function listKeys(
  bucket: S3Bucket,
  prefix = '',
): Promise<{ objects: string[]; uploads: string[] }> {
  const objects: string[] = [];
  for (let after = ''; ; ) {
    const text = await request(bucket, 'GET', { 'list-type': '2', prefix, 'start-after': after });
    const page = keysIn(text);
    objects.push(...page);
    if (page.length === 0 || !text.includes('<IsTruncated>true<')) break;
    after = page.at(-1) ?? '';
  }
  const uploads = keysIn(await request(bucket, 'GET', { uploads: '', prefix }));
  return { objects, uploads };
}

function keysIn(xml: string): string[] {
  return [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1] ?? '');
}

/** Throws Unavailable for anything but success. Source: AWS Signature Version 4, "Signature calculation". */
async function request(bucket: S3Bucket, method: string, query: Record<string, string>): Promise<string> {
  const { host, origin } = new URL(bucket.endpoint);
  const path = `/${bucket.bucket}`;
  const search = Object.entries(query)
    .filter(([name, value]) => value !== '' || name === 'uploads')
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const signed = { host, 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': date };
  const names = Object.keys(signed).join(';');
  const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}\n`);
  const canonical = [method, path, search, lines.join(''), names, EMPTY_SHA256].join('\n');
  const scope = `${date.slice(0, 8)}/${bucket.region}/s3/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')];
  const signature = hmac(signingKey(bucket, scope), text.join('\n')).toString('hex');
  const { host: _, ...headers } = signed;
  const authorization = `AWS4-HMAC-SHA256 Credential=${bucket.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  const response = await fetch(`${origin}${path}?${search}`, {
    method,
    headers: { ...headers, authorization },
  });
  const body = await response.text();
  if (!response.ok) throw unavailable(`S3 ${method} ${path}: ${response.status} ${body.slice(0, 200)}`);
  return body;
}

function signingKey({ secretKey }: S3Bucket, scope: string): Buffer {
  return scope.split('/').reduce<Buffer>(hmac, Buffer.from(`AWS4${secretKey}`));
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
