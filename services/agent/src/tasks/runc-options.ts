import { basename } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { LongshoreError, messageOf } from '@longshore/errors';
import type { OpaqueAny } from '@longshore/kit';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';

/**
 * The options that a shim gets with a task: those of the task, or else those of its container. runc's root is set when
 * they leave it open: with the shim's own default, instances on one machine would share it.
 */
export function shimOptions(
  runtime: string,
  taskOptions: OpaqueAny | undefined,
  containerOptions: OpaqueAny | undefined,
  runcRoot: string,
): OpaqueAny | undefined {
  const chosen = taskOptions && taskOptions.value.length > 0 ? taskOptions : containerOptions;
  if (!isRunc(runtime)) return chosen;
  const typeUrl = chosen?.typeUrl || OptionsSchema.typeName;
  if (nameOf(typeUrl) !== OptionsSchema.typeName) {
    throw new LongshoreError('Unknown', `invalid task create option for ${runtime}`);
  }
  const options = decode(chosen?.value, runtime);
  if (options.root !== '') return chosen;
  return { typeUrl, value: toBinary(OptionsSchema, { ...options, root: runcRoot }) };
}

/** By its name, or by that of its shim's file. */
function isRunc(runtime: string): boolean {
  return runtime.startsWith('io.containerd.runc.') || basename(runtime).startsWith('containerd-shim-runc-');
}

/** Whether systemd makes the cgroups; undefined for options of another runtime than runc. */
export function usesSystemdCgroup(options: OpaqueAny | undefined): boolean | undefined {
  if (!options || nameOf(options.typeUrl) !== OptionsSchema.typeName) return undefined;
  return fromBinary(OptionsSchema, options.value).systemdCgroup;
}

function nameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

function decode(value: Uint8Array | undefined, runtime: string) {
  try {
    return value ? fromBinary(OptionsSchema, value) : create(OptionsSchema);
  } catch (error) {
    throw new LongshoreError('Unknown', `invalid task create option for ${runtime}: ${messageOf(error)}`);
  }
}
