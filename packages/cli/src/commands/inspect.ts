import { isKind, notFound } from '@longshore/errors';
import { Option } from 'commander';
import type { Calls } from '../calls.ts';
import { type Define, examples } from '../command.ts';
import { showDocument } from '../output/document.ts';
import { addDocumentOptions, type Format } from '../output/output-options.ts';
import { INSPECT } from '../resources/inspect-kinds.ts';
import { type Session, SILENT } from '../session.ts';

interface Options {
  type?: string;
  output: Format;
}

export const define: Define = (command, session) => {
  addDocumentOptions(
    command.argument(
      '<object...>',
      'names of containers, images, nodes, snapshots, leases, content, namespaces',
    ),
  )
    .addOption(
      new Option('-t, --type <type>', 'what is meant, where several have the name').choices(
        Object.keys(INSPECT),
      ),
    )
    .action(session.action((names: string[], options: Options) => inspect(session, names, options)));
  examples(
    command,
    ['A container, with its spec', 'longshore inspect web'],
    ['What an image runs', "longshore inspect -t image redis:7 | jq '.[].config.config.Cmd'"],
    ['A node', 'longshore inspect -t node n1 -o yaml'],
  );
};

/** A list, also of one, as Docker answers: those that were found, and of the others what is wrong. */
async function inspect(session: Session, names: string[], options: Options): Promise<void> {
  const client = await session.calls();
  const found: object[] = [];
  await session.each(names, async (name) => {
    found.push(await inspectOne(client, name, options.type));
    return SILENT;
  });
  await showDocument(session, found, options.output);
}

async function inspectOne(client: Calls, name: string, type: string | undefined): Promise<object> {
  if (type !== undefined) return INSPECT[type]!(client, name);
  let first: unknown;
  for (const look of Object.values(INSPECT)) {
    try {
      return await look(client, name);
    } catch (error) {
      // What a server does not serve, or takes for no name at all, does not have it either.
      if (!isKind(error, 'NotFound', 'Unimplemented', 'InvalidArgument')) throw error;
      first ??= error;
    }
  }
  const { hint } = Object(first) as { hint?: string };
  throw Object.assign(notFound(`"${name}"`), hint !== undefined && { hint });
}
