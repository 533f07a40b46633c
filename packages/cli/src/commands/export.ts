import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { parsePlatform } from '@longshore/oci';
import { type Define, examples } from '../command.ts';
import { ProgressDisplay } from '../output/progress.ts';
import { transferPicture } from '../output/transfer-picture.ts';
import { findImage } from '../resources/images.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  output?: string;
  platform?: string;
  quiet?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument('<image...>', 'names, or beginnings of digests')
    .option('-o, --output <file>', 'default: standard output')
    .option('--platform <platform>', 'only this one, e.g. linux/arm64')
    .option('-q, --quiet', 'no progress')
    .action(session.action((names: string[], options: Options) => exportImages(session, names, options)));
  examples(
    command,
    ['An archive that "longshore import" and "docker load" take', 'longshore export -o app.tar app:1'],
    ['To another machine', 'longshore save app:1 | ssh other longshore load'],
  );
};

async function exportImages(session: Session, typed: string[], options: Options): Promise<void> {
  const signal = session.interrupted;
  const { host } = session;
  if (options.output === undefined && host.stdout.isTTY) {
    throw new UsageError('standard output is a terminal', 'Name a file with -o, or pipe it on.');
  }
  const client = await session.client();
  const names = await Promise.all(typed.map(async (each) => (await findImage(client, each)).name));
  using display = options.quiet ? undefined : new ProgressDisplay(host);
  const archive = client.images.export(names, {
    signal,
    platform: options.platform === undefined ? undefined : parsePlatform(options.platform),
    onProgress: (progress) => display?.update(transferPicture(progress)),
  });
  if (options.output !== undefined) return writeWhole(archive, options.output);
  for await (const part of archive) await session.write(part);
}

/** Under its name there is a whole archive, or what was there before. */
async function writeWhole(archive: AsyncIterable<Buffer>, path: string): Promise<void> {
  const temporary = `${path}.${process.pid}.part`;
  try {
    await pipeline(archive, createWriteStream(temporary));
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
