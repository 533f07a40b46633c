import { createReadStream } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Image } from '@longshore/client';
import { isKind, messageOf } from '@longshore/errors';
import { type Define, examples } from '../command.ts';
import { ProgressDisplay } from '../output/progress.ts';
import { transferPicture } from '../output/transfer-picture.ts';
import { isOfNode } from '../resources/scope.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  input?: string;
  baseName?: string;
  unpack: boolean;
  quiet?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument(
      '[file]',
      'an OCI layout or what "docker save" makes, plain or compressed; - is standard input',
      '-',
    )
    .option('-i, --input <file>', 'as Docker has it')
    .option('--base-name <name>', 'of images that the archive gives only a tag')
    .option('--no-unpack', 'only store them; in the scope of a whole fleet nothing is unpacked')
    .option('-q, --quiet', 'no progress')
    .action(session.action((file: string, options: Options) => importImages(session, file, options)));
  examples(
    command,
    ['An archive', 'longshore import app.tar'],
    ['From Docker', 'docker save app:1 | longshore load'],
  );
};

async function importImages(session: Session, argument: string, options: Options): Promise<void> {
  const signal = session.interrupted;
  const file = options.input ?? argument;
  const archive = await openInput(session, file);
  const client = await session.client();
  using display = options.quiet ? undefined : new ProgressDisplay(session.host);
  const images = await client.images.import(archive, {
    signal,
    baseName: options.baseName,
    onProgress: (progress) => display?.update(transferPicture({ ...progress, name: titleOf(file) })),
  });
  for (const { name } of images) session.line(name);
  if (!options.unpack || !isOfNode(client)) return;
  for (const image of images) await unpacked(image, signal);
}

async function unpacked(image: Image, signal: AbortSignal): Promise<void> {
  try {
    await image.unpack({ signal });
  } catch (error) {
    if (!isKind(error, 'PermissionDenied')) throw error;
    const hint =
      'The image is stored. From another machine it takes the role "host" to unpack it: give that, or push it and pull it.';
    throw Object.assign(error as Error, { hint });
  }
}

function titleOf(file: string): string {
  return file === '-' ? 'standard input' : basename(file);
}

async function openInput({ host }: Session, path: string): Promise<AsyncIterable<Uint8Array>> {
  if (path === '-') {
    if (host.stdin.isTTY)
      throw new UsageError('standard input is a terminal', 'Name a file, or "< archive.tar".');
    return host.stdin;
  }
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new UsageError(`archive: ${messageOf(error)}`);
  }
  return createReadStream(path);
}
