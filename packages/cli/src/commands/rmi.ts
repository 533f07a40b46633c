import { failedPrecondition } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Images } from '@longshore/proto/containerd/services/images/v1/images';
import type { Calls } from '../calls.ts';
import { type Define, examples } from '../command.ts';
import { findImage } from '../resources/images.ts';
import { ifThere } from '../resources/task-states.ts';
import type { Session } from '../session.ts';

interface Options {
  force?: boolean;
  async?: boolean;
}

export const define: Define = (command, session) => {
  command
    .argument('<image...>', 'names, or beginnings of digests')
    .option('-f, --force', 'also one that containers were made from; also one that is not there')
    .option('--async', 'do not wait until what only it needed is gone')
    .action(session.action((names: string[], options: Options) => rmi(session, names, options)));
  examples(
    command,
    ['Remove the name, and what nothing else needs', 'longshore rmi alpine:3'],
    ['All of this namespace', 'longshore rmi --async $(longshore images -q)'],
  );
};

async function rmi(session: Session, names: string[], options: Options): Promise<void> {
  const client = await session.calls();
  await session.each(names, (name) => {
    const removal = remove(client, name, options);
    return options.force ? ifThere(removal) : removal;
  });
}

async function remove(client: Calls, typed: string, { force, async }: Options): Promise<string> {
  const { name } = await findImage(client, typed);
  if (!force) await refuseUsed(client, name);
  await client.service(Images).delete({ name, sync: !async });
  return name;
}

async function refuseUsed(client: Calls, name: string): Promise<void> {
  const { containers } = await client
    .service(Containers)
    .list({ filters: [`image==${JSON.stringify(name)}`] });
  const [first] = containers;
  if (!first) return;
  const others = containers.length > 1 ? ` and ${containers.length - 1} more` : '';
  throw Object.assign(
    failedPrecondition(`image "${name}": container "${first.id}"${others} was made from it`),
    {
      hint: 'Remove the containers first, or use -f: those that run go on.',
    },
  );
}
