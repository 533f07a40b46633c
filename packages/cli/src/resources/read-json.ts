import { failedPrecondition } from '@longshore/errors';
import { Content } from '@longshore/proto/containerd/services/content/v1/content';
import type { Calls } from '../calls.ts';

/** Manifests and configs are smaller; one that is not is none. */
const MAX_BYTES = 8 * 1024 ** 2;

/** A JSON document out of the content store. Throws NotFound when it is not there, FailedPrecondition for what is too large. */
export async function readJson<T>(client: Calls, digest: string): Promise<T> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const { data } of client.service(Content).read({ digest, size: BigInt(MAX_BYTES + 1) })) {
    length += data.length;
    if (length > MAX_BYTES) throw failedPrecondition(`content ${digest}: more than ${MAX_BYTES} bytes`);
    parts.push(data);
  }
  return JSON.parse(Buffer.concat(parts).toString()) as T;
}
