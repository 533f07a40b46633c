import { existsSync } from 'node:fs';

/** 2 where the unified hierarchy alone is mounted; 1 for version 1 and for the hybrid. */
export function cgroupVersion(): 1 | 2 {
  return existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1;
}
