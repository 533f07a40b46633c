import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Revocations, type TlsFiles, type Warnings } from '@longshore/transport';
import { Channel } from './channel.ts';
import { watchRevocations } from './watch-revocations.ts';

/** The part of a service's configuration that this needs. */
export interface RevocationConfig extends TlsFiles {
  /** Addresses of the runtime service, which is the certificate authority. */
  runtime: string;
  /** Directory that the last known list is kept in. */
  root: string;
}

export interface FollowedRevocations {
  readonly revocations: Revocations;
  close(): Promise<void>;
}

/** The revocations in force, for a service's servers and channels; an empty list where there is no TLS. */
export function followRevocations(
  config: RevocationConfig,
  service: string,
  log: Warnings,
): FollowedRevocations {
  const revocations = new Revocations();
  if (!config.tlsCa) return { revocations, close: async () => undefined };
  const runtime = new Channel(config.runtime, config, { expect: 'service/runtime', revocations, log });
  mkdirSync(config.root, { recursive: true, mode: 0o711 });
  const file = join(config.root, `${service}.revocations`);
  const watching = watchRevocations(runtime, revocations, log, { file });
  return {
    revocations,
    async close() {
      await watching.close();
      runtime.close();
    },
  };
}
