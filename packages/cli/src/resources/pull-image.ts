import type { Client, Image, PullOptions, RegistryHost } from '@longshore/client';
import { parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';
import { ProgressDisplay } from '../output/progress.ts';
import { transferPicture } from '../output/transfer-picture.ts';
import { credentialSource } from '../registries/credentials.ts';
import type { Session } from '../session.ts';

export interface PullWish extends PullOptions {
  isQuiet: boolean;
  /** How its registry is reached, where that is said. */
  registry?: RegistryHost | undefined;
}

/** Brings an image to the server, with the credentials of `login`; shows how it goes on, unless that is not wanted. */
export async function pullImage(
  { host, interrupted }: Session,
  client: Client,
  name: string,
  { isQuiet, registry, ...options }: PullWish,
): Promise<Image> {
  const reference = expandShortName(name);
  using display = isQuiet ? undefined : new ProgressDisplay(host);
  return await client.pull(reference, {
    signal: interrupted,
    credentials: credentialSource(host.env),
    ...(registry && { hosts: { [parseReference(reference).host]: registry } }),
    onProgress: (progress) => display?.update(transferPicture(progress)),
    ...options,
  });
}
