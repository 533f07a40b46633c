import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { kindOf, LongshoreError, messageOf } from '@longshore/errors';
import type { OpaqueAny } from '@longshore/kit';
import { type DeleteResponse, DeleteResponseSchema } from '@longshore/proto/containerd/task/v3/shim';
import { type BootstrapResult, parseBootstrap } from './bootstrap-result.ts';
import type { Bundle } from './bundle.ts';

/** Many shims starting at once on a small machine take seconds; a minute means that this one never will. */
const START_TIMEOUT_MS = 60_000;
const DELETE_TIMEOUT_MS = 5_000;

/** What every shim of this node is told. */
export interface ShimSettings {
  /** The node socket: shims report to `<socketPath>.ttrpc`, and name their own socket after it. */
  socketPath: string;
  /** Given to shims as their event publisher of last resort; the known ones never run it. */
  publishBinary: string;
  /** The environment that shims, and what they run, start from. */
  env: Readonly<Record<string, string | undefined>>;
  /** Makes shims log what they do. */
  debug: boolean;
}

/**
 * Runs `<shim> start`, which leaves the long-lived shim behind and prints how to reach it. The shim is in a session of
 * its own and holds nothing of ours, so it outlives this process. Source: containerd core/runtime/v2/binary.go.
 */
export async function startShim(
  settings: ShimSettings,
  bundle: Bundle,
  binary: string,
  options: OpaqueAny | undefined,
): Promise<BootstrapResult> {
  // No caller ends it early: it may have left the shim behind already, and not told how to reach it.
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const child = run(settings, bundle, binary, [...(settings.debug ? ['-debug'] : []), 'start'], signal);
  child.stdin?.end(options ? toBinary(AnySchema, create(AnySchema, options)) : undefined);
  const { stdout, stderr, failure } = await outcome(child);
  const printed = Buffer.concat([stdout, stderr]);
  if (failure) throw failed(printed, failure);
  return parseBootstrap(printed);
}

/**
 * Runs `<shim> delete`, which cleans up after a shim that is gone: it kills what is left of the container and unmounts
 * its rootfs. Answers how the container is taken to have ended.
 */
export async function deleteByBinary(
  settings: ShimSettings,
  bundle: Bundle,
  binary: string,
): Promise<DeleteResponse> {
  const signal = AbortSignal.timeout(DELETE_TIMEOUT_MS);
  const child = run(settings, bundle, binary, ['-bundle', bundle.path, 'delete'], signal);
  child.stdin?.end();
  const { stdout, stderr, failure } = await outcome(child);
  if (failure) throw failed(stderr, failure);
  return fromBinary(DeleteResponseSchema, stdout);
}

function run(
  { socketPath, publishBinary, env }: ShimSettings,
  { namespace, id, path }: Bundle,
  binary: string,
  action: string[],
  signal: AbortSignal,
): ChildProcess {
  const flags = [
    '-namespace',
    namespace,
    '-address',
    socketPath,
    '-publish-binary',
    publishBinary,
    '-id',
    id,
  ];
  return spawn(binary, [...flags, ...action], {
    cwd: path,
    detached: true,
    signal,
    killSignal: 'SIGKILL',
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...env,
      GOMAXPROCS: '2',
      MAX_SHIM_VERSION: '2',
      TTRPC_ADDRESS: `${socketPath}.ttrpc`,
      GRPC_ADDRESS: socketPath,
      NAMESPACE: namespace,
    },
  });
}

interface Outcome {
  stdout: Buffer;
  stderr: Buffer;
  failure: Error | undefined;
}

async function outcome(child: ChildProcess): Promise<Outcome> {
  // A shim that ends without reading its input breaks the pipe; its exit status says what matters.
  child.stdin?.on('error', () => undefined);
  const [stdout, stderr, failure] = await Promise.all([
    readAll(child.stdout),
    readAll(child.stderr),
    failureOf(child),
  ]);
  return { stdout, stderr, failure };
}

/** In Go's words for how a process ended; undefined for success. */
async function failureOf(child: ChildProcess): Promise<Error | undefined> {
  try {
    const [code, signal] = await once(child, 'exit');
    if (code === 0) return undefined;
    return new Error(code === null ? `signal: ${signal}` : `exit status ${code}`);
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function failed(words: Buffer, cause: Error): LongshoreError {
  return new LongshoreError(kindOf(cause), `${words.toString().trim()}: ${cause.message}`, { cause });
}

async function readAll(stream: Readable | null): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (stream) await new Promise<void>((resolve) => stream.once('close', resolve));
  return Buffer.concat(chunks);
}
