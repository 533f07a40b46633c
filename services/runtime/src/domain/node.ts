import type { Labels } from '@longshore/oci';

/** What an agent reports of its host. */
export interface NodeReport {
  id: string;
  address: string;
  labels: Labels;
  hostname: string;
  kernel: string;
  architecture: string;
  cgroupVersion: number;
  softwareVersion: string;
  snapshotters: string[];
}

export interface Node extends NodeReport {
  uid: string;
  revision: bigint;
  createdAt: Date;
  lastSeenAt: Date;
}
