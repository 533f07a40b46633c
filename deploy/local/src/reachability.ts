/** A decision is due within 3 s: who sits without internet should not wait longer for the image made here. */
const TIMEOUT_MS = 3000;
const PUBLIC_REGISTRY = 'https://registry-1.docker.io/v2/';

/** Whether the public registry answers as one: it greets, or asks who is there. */
export async function canReachPublicRegistry(url = PUBLIC_REGISTRY): Promise<boolean> {
  try {
    const { status } = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(TIMEOUT_MS) });
    return status === 200 || status === 401;
  } catch {
    return false;
  }
}
