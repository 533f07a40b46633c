import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { OptionsSchema } from '@longshore/proto/containerd/runc/v1/oci';

/** Options of `io.containerd.runc.v2`, e.g. `{ root, binaryName, systemdCgroup }`: for `withRuntime`, or for one task. */
export function runcOptions(options: MessageInitShape<typeof OptionsSchema>): Pick<Any, 'typeUrl' | 'value'> {
  return { typeUrl: OptionsSchema.typeName, value: toBinary(OptionsSchema, create(OptionsSchema, options)) };
}
