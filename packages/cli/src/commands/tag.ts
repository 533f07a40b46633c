import { expandShortName } from '@longshore/registry';
import { type Define, examples } from '../command.ts';
import { findImage } from '../resources/images.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  command
    .argument('<image>', 'name, or beginning of a digest')
    .argument('<name>', 'another name of it')
    .option('-f, --force', 'also when that is taken: it means this image from now on')
    .action(
      session.action((source: string, name: string, options: { force?: boolean }) =>
        tag(session, source, name, options),
      ),
    );
  examples(command, ['A name to push it by', 'longshore tag app:dev registry.example/app:1']);
};

async function tag(
  session: Session,
  source: string,
  typed: string,
  { force }: { force?: boolean },
): Promise<void> {
  const client = await session.client();
  const { name: found } = await findImage(client, source);
  const name = expandShortName(typed);
  await client.images.tag(found, name, { force });
  session.line(name);
}
