import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { LongshoreError } from '@longshore/errors';
import type { OpaqueAny } from '@longshore/kit';
import { type DeleteResponse, DeleteResponseSchema } from '@longshore/proto/containerd/task/v3/shim';
import { bootstrapParams } from './bootstrap-params.ts';
import { type BootstrapResult, parseBootstrap } from './bootstrap-result.ts';
import type { Bundle } from './bundle.ts';
import { commandFailed, runShimCommand, type ShimCommand } from './shim-command.ts';
import type { ShimDialects } from './shim-dialect.ts';

/** Many shims starting at once on a small machine take seconds; a minute means that this one never will. */
const START_TIMEOUT_MS = 60_000;
const DELETE_TIMEOUT_MS = 5_000;
/** A path has at most 108 bytes; more is no address but a message. */
const MAX_ADDRESS_LENGTH = 1_024;

/** What every shim of this node is told. */
export interface ShimSettings {
  /** The node socket: shims report to `<socketPath>.ttrpc`, and name their own socket after it. */
  socketPath: string;
  /** Given to shims as their event publisher of last resort; Go's never run it. */
  publishBinary: string;
  /** The environment that shims, and what they run, start from. */
  env: Readonly<Record<string, string | undefined>>;
  /** More of it for shims alone, over all else; e.g. `SCHED_CORE=1`. */
  shimEnv?: Readonly<Record<string, string>>;
  /** Makes shims log what they do. */
  debug: boolean;
}

/**
 * Runs `<shim> start`, which leaves the long-lived shim behind and prints how to reach it. The shim is in a session of
 * its own and holds nothing of ours, so it outlives this process. No caller ends it early: it may have left the shim
 * behind already, and not told how to reach it. Source: containerd core/runtime/v2/binary.go.
 */
export async function startShim(
  settings: ShimSettings,
  dialects: ShimDialects,
  bundle: Bundle,
  binary: string,
  options: OpaqueAny | undefined,
): Promise<BootstrapResult> {
  return await dialects.start(binary, environment(settings, bundle.namespace), async (dialect) => {
    const bare = options && toBinary(AnySchema, create(AnySchema, options));
    const input = dialect === 'params' ? bootstrapParams(settings, bundle, options) : bare;
    const { stdout, stderr, failure } = await runShimCommand({
      ...command(settings, bundle, binary, 'start'),
      input,
      timeoutMs: START_TIMEOUT_MS,
    });
    const printed = Buffer.concat([stdout, stderr]);
    if (failure) throw commandFailed(printed, failure);
    return checked(parseBootstrap(printed));
  });
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
  const { stdout, stderr, failure } = await runShimCommand({
    ...command(settings, bundle, binary, 'delete', ['-bundle', bundle.path]),
    timeoutMs: DELETE_TIMEOUT_MS,
  });
  if (failure) throw commandFailed(stderr, failure);
  return fromBinary(DeleteResponseSchema, stdout);
}

function command(
  settings: ShimSettings,
  { namespace, id, path }: Bundle,
  binary: string,
  action: 'start' | 'delete',
  flags: readonly string[] = [],
): Omit<ShimCommand, 'timeoutMs'> {
  const { socketPath, publishBinary, debug } = settings;
  const known = [
    '-namespace',
    namespace,
    '-address',
    socketPath,
    '-publish-binary',
    publishBinary,
    '-id',
    id,
  ];
  return {
    binary,
    args: [...known, ...flags, ...(debug ? ['-debug'] : []), action],
    cwd: path,
    env: environment(settings, namespace),
  };
}

function environment({ env, shimEnv, socketPath }: ShimSettings, namespace: string) {
  return {
    ...env,
    GOMAXPROCS: '2',
    MAX_SHIM_VERSION: '2',
    TTRPC_ADDRESS: `${socketPath}.ttrpc`,
    GRPC_ADDRESS: socketPath,
    NAMESPACE: namespace,
    ...shimEnv,
  };
}

function checked(result: BootstrapResult): BootstrapResult {
  const { address } = result;
  if (address !== '' && address.length <= MAX_ADDRESS_LENGTH) return result;
  throw new LongshoreError(
    'Unknown',
    `no address in what the shim printed: ${JSON.stringify(address.slice(0, 200))}`,
  );
}
