import { LongshoreError } from '@longshore/errors';
import type { Digest } from '@longshore/oci';
import type { Image } from './image.ts';

/**
 * Pushes an image to a registry that speaks HTTP without authentication, blobs that it has already left out.
 * Returns the reference to pull: `<host>/<repository>:<tag>`.
 * Source: OCI distribution-spec, "Pushing a blob monolithically", "Pushing manifests".
 */
export async function pushImage(
  host: string,
  repository: string,
  tag: string,
  image: Image,
): Promise<string> {
  const base = `http://${host}/v2/${repository}`;
  await Promise.all([...image.blobs].map(([digest, bytes]) => pushBlob(base, digest, bytes)));
  for (const [digest, { mediaType, bytes }] of image.manifests) {
    const reference = digest === image.root.digest ? tag : digest;
    await send('PUT', `${base}/manifests/${reference}`, bytes, mediaType);
  }
  return `${host}/${repository}:${tag}`;
}

async function pushBlob(base: string, digest: Digest, bytes: Buffer): Promise<void> {
  const head = await fetch(`${base}/blobs/${digest}`, { method: 'HEAD' });
  if (head.ok) return;
  const upload = await send('POST', `${base}/blobs/uploads/`);
  const location = new URL(upload.headers.get('location') ?? '', base);
  location.searchParams.set('digest', digest);
  await send('PUT', location.href, bytes, 'application/octet-stream');
}

async function send(method: string, url: string, body?: Buffer, type?: string): Promise<Response> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    ...(type === undefined ? {} : { headers: { 'content-type': type } }),
  });
  const text = await response.text();
  if (response.ok) return response;
  throw new LongshoreError('Unknown', `${method} ${url}: the registry answered ${response.status} ${text}`);
}
