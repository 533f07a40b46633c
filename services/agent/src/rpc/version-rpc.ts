import type { Handlers } from '@longshore/kit';
import type { Version } from '@longshore/proto/containerd/services/version/v1/version';
import { SOFTWARE_VERSION } from '../node/version.ts';

/** `containerd.services.version.v1.Version`. */
export const versionRpc: Handlers<typeof Version> = {
  async version() {
    return { version: SOFTWARE_VERSION, revision: 'longshore' };
  },
};
