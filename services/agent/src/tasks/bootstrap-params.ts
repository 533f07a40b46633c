import { create, toBinary } from '@bufbuild/protobuf';
import type { OpaqueAny } from '@longshore/kit';
import { BootstrapParamsSchema, LogLevel } from '@longshore/proto/containerd/runtime/bootstrap/v1/bootstrap';
import { SOFTWARE_VERSION } from '../node/version.ts';

/** Of what all shims of a node are told, that which they read from here. */
export interface BootstrapSettings {
  /** The node socket; shims report to `<socketPath>.ttrpc`. */
  socketPath: string;
  publishBinary: string;
  debug: boolean;
}

/**
 * What a shim since containerd 2.3 reads when it starts. Without a directory for its socket: it takes the one that
 * all shims have. Source: containerd core/runtime/v2/binary.go.
 */
export function bootstrapParams(
  { socketPath, publishBinary, debug }: BootstrapSettings,
  { id, namespace }: { id: string; namespace: string },
  options: OpaqueAny | undefined,
): Uint8Array {
  const params = create(BootstrapParamsSchema, {
    instanceId: id,
    namespace,
    logLevel: debug ? LogLevel.DEBUG : LogLevel.INFO,
    containerdVersion: SOFTWARE_VERSION,
    containerdTtrpcAddress: `${socketPath}.ttrpc`,
    containerdGrpcAddress: socketPath,
    containerdBinary: publishBinary,
    extensions: options ? [{ value: options }] : [],
  });
  return toBinary(BootstrapParamsSchema, params);
}
