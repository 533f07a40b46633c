import { parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';
import { type Define, examples } from '../command.ts';
import { ProgressDisplay } from '../output/progress.ts';
import { transferPicture } from '../output/transfer-picture.ts';
import { credentialSource } from '../registries/credentials.ts';
import { addRegistryOptions, type RegistryFlags, registryHost } from '../registries/registry-options.ts';
import { findImage } from '../resources/images.ts';
import type { Session } from '../session.ts';

interface Options extends RegistryFlags {
  platform?: string;
  quiet?: boolean;
}

export const define: Define = (command, session) => {
  addRegistryOptions(
    command.argument('<image>', 'what is pushed').argument('[name]', 'where to (default: its own name)'),
  )
    .option('--platform <platform>', 'only this one, e.g. linux/arm64')
    .option('-q, --quiet', 'no progress')
    .action(
      session.action((image: string, name: string | undefined, options: Options) =>
        push(session, image, name, options),
      ),
    );
  examples(
    command,
    ['By its own name', 'longshore login registry.example && longshore push registry.example/app:1'],
    ['By another', 'longshore push app:dev registry.example/app:1'],
  );
};

async function push(
  session: Session,
  typed: string,
  name: string | undefined,
  options: Options,
): Promise<void> {
  const signal = session.interrupted;
  const client = await session.client();
  const image = await findImage(client, typed);
  const to = expandShortName(name ?? image.name);
  const registry = await registryHost(options);
  using display = options.quiet ? undefined : new ProgressDisplay(session.host);
  const { digest } = await client.images.push(image.name, {
    to,
    signal,
    platform: options.platform,
    credentials: credentialSource(session.host.env),
    ...(registry && { hosts: { [parseReference(to).host]: registry } }),
    onProgress: (progress) => display?.update(transferPicture(progress)),
  });
  session.line(`${to}@${digest}`);
}
