import { fromBinary } from '@bufbuild/protobuf';
import { ProcessDetailsSchema } from '@longshore/proto/containerd/runc/v1/oci';
import type { ProcessInfo } from '@longshore/proto/containerd/v1/types/task';

export interface ProcessInTask {
  /** On the node. */
  readonly pid: number;
  /** Of one that was started by `exec`. */
  readonly execId: string | undefined;
}

export function processInTaskFromProto({ pid, info }: ProcessInfo): ProcessInTask {
  const isExec = info?.typeUrl.endsWith(ProcessDetailsSchema.typeName);
  return { pid, execId: isExec ? fromBinary(ProcessDetailsSchema, info!.value).execId : undefined };
}
