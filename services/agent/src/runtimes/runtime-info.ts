import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { LongshoreError, messageOf, unimplemented } from '@longshore/errors';
import type { OpaqueAny } from '@longshore/kit';
import {
  type RuntimeInfo,
  RuntimeInfoSchema,
  RuntimeRequestSchema,
} from '@longshore/proto/containerd/types/introspection';
import type { RuntimeBinaries } from '../tasks/runtime-binary.ts';
import { runShimCommand } from '../tasks/shim-command.ts';

const INFO_TIMEOUT_MS = 10_000;

/** Where runtimes are looked for, and what they are run with. */
export interface RuntimeInfoOptions {
  binaries: Pick<RuntimeBinaries, 'resolve'>;
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * Asks a runtime's shim what it is, by `<shim> -info`. Shims before containerd 2.0 do not know that and fail with
 * `Unknown`, in their own words. Source: containerd core/runtime/v2/task_manager.go PluginInfo.
 */
export async function runtimeInfo(
  { binaries, env }: RuntimeInfoOptions,
  request: OpaqueAny,
): Promise<RuntimeInfo> {
  const { runtimePath, options } = decode(request);
  const binary = resolve(binaries, runtimePath);
  const { stdout, stderr, failure } = await runShimCommand({
    binary,
    args: ['-info'],
    env,
    input: options && toBinary(AnySchema, create(AnySchema, options)),
    timeoutMs: INFO_TIMEOUT_MS,
  });
  if (failure) {
    const words = JSON.stringify(stderr.toString().slice(0, 2_048));
    throw unknown(`failed to run [${binary} -info]: ${failure.message} (stderr: ${words})`, failure);
  }
  try {
    return fromBinary(RuntimeInfoSchema, stdout);
  } catch (error) {
    throw unknown(`failed to unmarshal stdout from [${binary} -info]: ${messageOf(error)}`, error);
  }
}

function decode({ typeUrl, value }: OpaqueAny) {
  const name = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
  if (name !== RuntimeRequestSchema.typeName) throw unimplemented(`unknown request type ${name}`);
  try {
    return fromBinary(RuntimeRequestSchema, value);
  } catch (error) {
    throw unknown(`failed to unmarshal ${name}: ${messageOf(error)}`, error);
  }
}

function resolve(binaries: Pick<RuntimeBinaries, 'resolve'>, runtime: string): string {
  try {
    return binaries.resolve(runtime);
  } catch (error) {
    throw unknown(`failed to resolve runtime path: ${messageOf(error)}`, error);
  }
}

function unknown(message: string, cause: unknown): LongshoreError {
  return new LongshoreError('Unknown', message, { cause });
}
