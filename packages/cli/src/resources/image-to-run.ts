import type { Client, Image } from '@longshore/client';
import { isKind } from '@longshore/errors';
import { formatReference, parsePlatform, parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';
import type { PullPolicy } from '../run-options/run-flags.ts';
import type { Session } from '../session.ts';
import { pullImage } from './pull-image.ts';

export interface ImageWish {
  name: string;
  pull: PullPolicy;
  platform: string | undefined;
  snapshotter: string | undefined;
  isQuiet: boolean;
}

/** The image that a container is to be made of, pulled if it has to be, and unpacked. Throws NotFound where it must not be pulled. */
export async function imageToRun(session: Session, client: Client, wish: ImageWish): Promise<Image> {
  const { snapshotter } = wish;
  const image = (await stored(client, wish)) ?? (await pulled(session, client, wish));
  const signal = session.interrupted;
  if (!(await image.isUnpacked(snapshotter, { signal }))) await image.unpack({ snapshotter, signal });
  return image;
}

async function stored(client: Client, { name, pull, platform }: ImageWish): Promise<Image | undefined> {
  if (pull === 'always') return undefined;
  try {
    const image = await client.images.get(formatReference(parseReference(expandShortName(name))));
    return platform === undefined ? image : image.forPlatform(parsePlatform(platform));
  } catch (error) {
    if (pull === 'missing' && isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

function pulled(
  session: Session,
  client: Client,
  { name, snapshotter, platform, isQuiet }: ImageWish,
): Promise<Image> {
  return pullImage(session, client, name, { platform, snapshotter, unpack: true, isQuiet });
}
