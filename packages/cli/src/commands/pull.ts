import { collect, type Define, examples } from '../command.ts';
import { addRegistryOptions, type RegistryFlags, registryHost } from '../registries/registry-options.ts';
import { pullImage } from '../resources/pull-image.ts';
import type { Session } from '../session.ts';

interface Options extends RegistryFlags {
  platform?: string;
  allPlatforms?: boolean;
  on?: string[];
  selector?: string;
  snapshotter?: string;
  unpack: boolean;
  quiet?: boolean;
}

export const define: Define = (command, session) => {
  addRegistryOptions(
    command.argument('<image...>', 'names, which may be short: redis is docker.io/library/redis:latest'),
  )
    .option('--platform <platform>', 'e.g. linux/arm64 (default: what the node runs)')
    .option('--all-platforms', 'those of an index all, without unpacking')
    .option('--on <node>', 'at a gateway: a node that takes it; may be repeated', collect)
    .option('-l, --selector <selector>', 'at a gateway: labels of nodes that take it: zone=a,!gpu')
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
  const { platform, allPlatforms, snapshotter, quiet = false } = options;
  const client = await session.client();
  const registry = await registryHost(options);
  await session.each(names, async (name) => {
    const image = await pullImage(session, client, name, {
      platform,
      allPlatforms,
      unpack: options.unpack && !allPlatforms,
      snapshotter,
      nodes: options.on,
      selector: options.selector,
      registry,
      isQuiet: quiet,
    });
    return image.name;
  });
}
