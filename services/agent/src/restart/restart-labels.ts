import { RESTART_STATUS_LABEL } from '@longshore/oci';

/** Labels of containers by which clients ask for restarts. Source: containerd core/runtime/restart/restart.go. */
export const RestartLabel = {
  /** `running` or `stopped`: what the monitor keeps the task at. Without it a container is left alone. */
  Status: RESTART_STATUS_LABEL,
  Policy: 'containerd.io/restart.policy',
  /** Where the output of a restarted task goes: a URI, as for tasks.v1. */
  LogUri: 'containerd.io/restart.loguri',
  /** How often the monitor has started the task; kept by it. */
  Count: 'containerd.io/restart.count',
  /** A boolean: `unless-stopped` leaves the container alone. */
  ExplicitlyStopped: 'containerd.io/restart.explicitly-stopped',
} as const;
