import { setTimeout as delay } from 'node:timers/promises';
import { unimplemented } from '@longshore/errors';
import { formatReference, isDigest, type Platform } from '@longshore/oci';
import { Transfer } from '@longshore/proto/containerd/services/transfer/v1/transfer';
import { ImageStoreSchema } from '@longshore/proto/containerd/types/transfer/imagestore';
import { type Progress, ProgressSchema } from '@longshore/proto/containerd/types/transfer/progress';
import {
  AuthRequestSchema,
  AuthResponseSchema,
  AuthType,
  OCIRegistrySchema,
} from '@longshore/proto/containerd/types/transfer/registry';
import type { CredentialSource, Credentials } from '@longshore/registry';
import type { ImageParts } from './image-parts.ts';
import { hostOf } from './open-registry.ts';
import type { BlobState, ProgressTracker } from './progress.ts';
import type { ClientPull } from './pull-by-client.ts';
import { pack, ServerStream, unpackAny } from './server-stream.ts';

const LAST_WORDS_MS = 5_000;

/** containerd's words. Source: containerd core/transfer/local/progress.go. */
const STATES: Readonly<Record<string, BlobState>> = {
  waiting: 'waiting',
  downloading: 'transferring',
  complete: 'done',
  'already exists': 'exists',
  extracting: 'unpacking',
  extracted: 'unpacked',
};

/**
 * Has the server pull, by containerd's transfer service; progress and questions for credentials come back by streams. Throws
 * Unimplemented where there is no such service, as in containerd 1.6.
 */
export async function pullByServer({ services }: ImageParts, request: ClientPull): Promise<void> {
  const { reference, name, labels, registry, platforms, snapshotter, tracker, signal } = request;
  const { plainHttp = false, headers = {}, ca } = hostOf(registry.hosts, reference.host);
  if (ca !== undefined || registry.hostsDirectory !== undefined) {
    throw unimplemented('pull by the server with certificates or mirrors of the client');
  }
  using open = new DisposableStack();
  const stream = async () => {
    const opened = await ServerStream.open(services, signal);
    open.defer(() => opened.close());
    return opened;
  };
  const progress = await stream();
  const auth = registry.credentials && (await stream());
  const failures: unknown[] = [];
  if (auth) {
    const noted = (error: unknown) => void failures.push(error);
    void answerQuestions(auth, registry.credentials!, signal, noted).catch(noted);
  }
  // A picture that cannot be shown is no failure of the pull.
  const shown = showProgress(progress, tracker).catch(() => undefined);
  const unpacks =
    snapshotter === undefined
      ? []
      : [{ snapshotter, ...(platforms.length === 1 && { platform: platformToProto(platforms[0]!) }) }];
  const transfer = services.service(Transfer).transfer(
    {
      source: pack(OCIRegistrySchema, {
        reference: formatReference(reference),
        resolver: {
          headers: { ...headers },
          ...(auth && { authStream: auth.id }),
          ...(plainHttp && { defaultScheme: 'http' }),
        },
      }),
      destination: pack(ImageStoreSchema, {
        name,
        labels,
        platforms: platforms.map(platformToProto),
        unpacks,
      }),
      options: { progressStream: progress.id },
    },
    { signal },
  );
  // Without credentials the server only knows that it was refused.
  await transfer.catch((error: unknown) => {
    throw failures[0] ?? error;
  });
  // The server ends it once all is told; one that does not is not waited for.
  await Promise.race([shown, delay(LAST_WORDS_MS, undefined, { ref: false })]);
}

async function showProgress(stream: ServerStream, tracker: ProgressTracker): Promise<void> {
  for await (const message of stream.messages()) {
    const progress = unpackAny(ProgressSchema, message);
    if (progress) show(progress, tracker);
  }
}

function show({ event, desc, progress, parents }: Progress, tracker: ProgressTracker): void {
  const state = Object.hasOwn(STATES, event) ? STATES[event] : undefined;
  if (event.startsWith('fetching')) tracker.phase('transferring');
  if (event === 'extracting') tracker.phase('unpacking');
  if (event === 'saved') tracker.recording(desc && isDigest(desc.digest) ? desc.digest : undefined);
  if (!state || !desc || !isDigest(desc.digest)) return;
  const { digest, mediaType, size } = desc;
  // A parent is named by its ref, which ends in its digest.
  const parent = parents[0]?.replace(/^[a-z]+-/, '') ?? '';
  const isOver = state === 'exists' || state === 'done';
  tracker.blob(
    { digest, mediaType, size: Number(size) },
    state,
    isOver ? Number(size) : Number(progress),
    isDigest(parent) ? parent : undefined,
  );
}

/** One question of a registry after the other, until the stream ends. `onFailure` gets what the source throws. */
async function answerQuestions(
  stream: ServerStream,
  credentials: CredentialSource,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  for await (const message of stream.messages()) {
    const question = unpackAny(AuthRequestSchema, message);
    if (!question) continue;
    const { host, reference, wwwauthenticate } = question;
    let answer: Credentials | undefined;
    try {
      answer = await credentials({ host, reference, wwwAuthenticate: wwwauthenticate }, signal);
    } catch (error) {
      onFailure(error);
    }
    stream.send(pack(AuthResponseSchema, answerOf(answer)));
  }
}

function answerOf(credentials: Credentials | undefined) {
  if (!credentials) return { authType: AuthType.NONE };
  if (credentials.kind === 'refresh') return { authType: AuthType.REFRESH, secret: credentials.token };
  return { authType: AuthType.CREDENTIALS, username: credentials.username, secret: credentials.password };
}

function platformToProto({ os, architecture, variant = '' }: Platform) {
  return { os, architecture, variant };
}
