/**
 * Type URLs of the JSON documents that travel in `Any` without a protobuf message.
 * Source: containerd core/runtime/typeurl.go.
 */
export const JsonTypeUrl = {
  Spec: 'types.containerd.io/opencontainers/runtime-spec/1/Spec',
  Process: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  LinuxResources: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources',
  WindowsResources: 'types.containerd.io/opencontainers/runtime-spec/1/WindowsResources',
  Features: 'types.containerd.io/opencontainers/runtime-spec/1/features/Features',
} as const;
