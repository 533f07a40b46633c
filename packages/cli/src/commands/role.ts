import { AccessService, type Binding } from '@longshore/proto/longshore/access/v1/access';
import type { ServiceClient } from '@longshore/rpc';
import { Argument } from 'commander';
import { type Define, examples } from '../command.ts';
import type { GlobalOptions } from '../global-options.ts';
import { hintAtNamespace } from '../hint-at-namespace.ts';
import { showDocument } from '../output/document.ts';
import {
  addDocumentOptions,
  addOutputOptions,
  type Format,
  type OutputOptions,
} from '../output/output-options.ts';
import { show } from '../output/show.ts';
import { BINDING_VIEW, bindingDocument, ROLE_NAMES, roleOf } from '../resources/roles.ts';
import type { Session } from '../session.ts';

interface ScopeOptions {
  fleet?: boolean;
}

const FLEET_FLAG = ['--fleet', "in all namespaces, and for what is no namespace's"] as const;

export const define: Define = (command, session) => {
  addOutputOptions(
    command
      .command('ls', { isDefault: true })
      .alias('list')
      .description('List who has which role: everywhere, or in -n.'),
  ).action(session.action((options: OutputOptions & GlobalOptions) => ls(session, options)));
  const role = () => new Argument('<role>', 'what may be done').choices(ROLE_NAMES);
  const subject = [
    '<subject>',
    'user/NAME, service/NAME, group/NAME, token/ID or oidc/ISSUER#SUBJECT',
  ] as const;
  command
    .command('grant')
    .description('Give a role.')
    .addArgument(role())
    .argument(...subject)
    .option(...FLEET_FLAG)
    .action(
      session.action((name: string, who: string, options: ScopeOptions) =>
        grant(session, name, who, options),
      ),
    );
  command
    .command('revoke')
    .description('Take a role away.')
    .addArgument(role())
    .argument(...subject)
    .option(...FLEET_FLAG)
    .action(
      session.action((name: string, who: string, options: ScopeOptions) =>
        revoke(session, name, who, options),
      ),
    );
  addDocumentOptions(command.command('whoami').description('Show whom the gateway takes you for.')).action(
    session.action((options: { output: Format }) => whoAmI(session, options)),
  );
  examples(
    command,
    ['Who may do what in a namespace', 'longshore role ls -n prod'],
    ['Let a person work in it', 'longshore role grant operator user/alice -n prod'],
    ['Let a group read everything', 'longshore role grant viewer group/support --fleet'],
    ['Whom the gateway takes you for', 'longshore role whoami'],
  );
};

async function everyBindings(
  access: ServiceClient<typeof AccessService>,
  namespace: string,
): Promise<Binding[]> {
  const bindings: Binding[] = [];
  let pageToken = '';
  do {
    const page = await access.listBindings({ namespace, pageToken });
    bindings.push(...page.bindings);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return bindings;
}

async function ls(session: Session, options: OutputOptions & GlobalOptions): Promise<void> {
  const client = await session.calls();
  const access = client.service(AccessService);
  const bindings = await everyBindings(access, options.namespace ?? '').catch((error: unknown) => {
    if (options.namespace === undefined) hintAtNamespace(error, client);
    throw error;
  });
  await show(session, bindings, BINDING_VIEW, options);
}

async function grant(session: Session, role: string, subject: string, options: ScopeOptions): Promise<void> {
  const client = await session.calls();
  await client.service(AccessService).createBinding(bindingOf(client.namespace, role, subject, options));
  session.line(subject);
}

async function revoke(session: Session, role: string, subject: string, options: ScopeOptions): Promise<void> {
  const client = await session.calls();
  await client.service(AccessService).deleteBinding(bindingOf(client.namespace, role, subject, options));
  session.line(subject);
}

function bindingOf(namespace: string, role: string, subject: string, { fleet }: ScopeOptions) {
  return { namespace: fleet ? '*' : namespace, subject, role: roleOf(role) };
}

async function whoAmI(session: Session, { output }: { output: Format }): Promise<void> {
  const client = await session.calls();
  const { name, groups, bindings, unrestricted } = await client.service(AccessService).whoAmI({});
  await showDocument(
    session,
    { name, groups, unrestricted, bindings: bindings.map(bindingDocument) },
    output,
  );
}
