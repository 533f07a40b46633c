import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Mount } from '@longshore/linux';
import type { Mount as MountMessage, MountSchema } from '@longshore/proto/containerd/types/mount';

export function mountToProto({
  type,
  source,
  target = '',
  options,
}: Mount): MessageInitShape<typeof MountSchema> {
  return { type, source, target, options: [...options] };
}

export function mountFromProto({ type, source, target, options }: MountMessage): Mount {
  return { type, source, target, options };
}
