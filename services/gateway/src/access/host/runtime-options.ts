import { fromBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { CheckpointOptionsSchema, OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import type { HostReason } from './owns-host.ts';

type Options = Pick<Any, 'typeUrl' | 'value'> | undefined;

/** What runc's shim may be told: nothing that names a program, a directory or a cgroup of the host. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['noNewKeyring', 'ioUid', 'ioGid', 'systemdCgroup', 'taskApiAddress', 'taskApiVersion'],
]);
const HARMLESS_CHECKPOINT: ReadonlySet<string> = new Set([
  ...['exit', 'openTcp', 'externalUnixSockets', 'terminal', 'fileLocks', 'emptyNamespaces', 'cgroupsMode'],
]);

/** Of what a shim is told; options of other runtimes than runc's are not known, and so may be anything. */
export function hostReasonOfOptions(options: Options): HostReason {
  return judge(options, 'containerd.runc.v1.Options', OptionsSchema, HARMLESS);
}

export function hostReasonOfCheckpoint(options: Options): HostReason {
  return judge(options, 'containerd.runc.v1.CheckpointOptions', CheckpointOptionsSchema, HARMLESS_CHECKPOINT);
}

function judge(
  options: Options,
  name: string,
  schema: typeof OptionsSchema | typeof CheckpointOptionsSchema,
  harmless: ReadonlySet<string>,
): HostReason {
  if (!options || (options.typeUrl === '' && options.value.length === 0)) return undefined;
  if (options.typeUrl.slice(options.typeUrl.lastIndexOf('/') + 1) !== name) {
    return options.value.length === 0 ? undefined : `runtime options ${JSON.stringify(options.typeUrl)}`;
  }
  const message = fromBinary(schema, options.value);
  if (message.$unknown?.length) return 'runtime options that are not known';
  const set = schema.fields.filter(({ localName }) => isSet((message as never)[localName]));
  const found = set.find(({ localName }) => !harmless.has(localName));
  return found && `runtime option ${found.name}`;
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}
