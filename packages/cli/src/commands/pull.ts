import { parseReference } from '@longshore/oci';
import { expandShortName } from '@longshore/registry';
import { collect, type Define, examples } from '../command.ts';
import { ProgressDisplay } from '../output/progress.ts';
import { transferPicture } from '../output/transfer-picture.ts';
import { credentialSource } from '../registries/credentials.ts';
import type { Session } from '../session.ts';

interface Options {
  platform?: string;
  allPlatforms?: boolean;
  on?: string[];
  selector?: string;
  plainHttp?: boolean;
  snapshotter?: string;
  unpack: boolean;
  quiet?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument('<image...>', 'names, which may be short: redis is docker.io/library/redis:latest')
    .option('--platform <platform>', 'e.g. linux/arm64 (default: what the node runs)')
    .option('--all-platforms', 'those of an index all, without unpacking')
    .option('--on <node>', 'at a gateway: a node that takes it; may be repeated', collect)
    .option('-l, --selector <selector>', 'at a gateway: labels of nodes that take it: zone=a,!gpu')
    .option('--plain-http', 'the registry speaks HTTP; on loopback it always does')
    .option('--snapshotter <name>', 'that unpacks it', 'overlayfs')
    .option('--no-unpack', 'only store it')
    .option('-q, --quiet', 'no progress')
    .action(session.action((names: string[], options: Options) => pull(session, names, options)));
  examples(
    command,
    ['To the node whose socket this is', 'longshore pull redis:7'],
    [
      'At a gateway: to two nodes, or to all of a zone; each blob is fetched once',
      'longshore pull --on n1 --on n2 redis:7; longshore pull -l zone=a redis:7',
    ],
    [
      'From a registry that wants a password',
      'longshore login registry.example && longshore pull registry.example/app:1',
    ],
  );
};

async function pull(session: Session, names: string[], options: Options): Promise<void> {
  const signal = session.interrupted;
  const client = await session.client();
  await session.each(names, async (name) => {
    const reference = expandShortName(name);
    using display = options.quiet ? undefined : new ProgressDisplay(session.host);
    const { host } = parseReference(reference);
    const image = await client.pull(reference, {
      signal,
      credentials: credentialSource(session.host.env),
      ...(options.plainHttp && { hosts: { [host]: { plainHttp: true } } }),
      platform: options.platform,
      allPlatforms: options.allPlatforms,
      unpack: options.unpack && !options.allPlatforms,
      snapshotter: options.snapshotter,
      nodes: options.on,
      selector: options.selector,
      onProgress: (progress) => display?.update(transferPicture(progress)),
    });
    return image.name;
  });
}
