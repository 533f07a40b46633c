import { AccessService, type Token } from '@longshore/proto/longshore/access/v1/access';
import type { ServiceClient } from '@longshore/rpc';
import { Option } from 'commander';
import { type Define, examples } from '../command.ts';
import { durationOf, durationOption } from '../durations.ts';
import type { GlobalOptions } from '../global-options.ts';
import { hintAtNamespace } from '../hint-at-namespace.ts';
import { showDocument } from '../output/document.ts';
import { addOutputOptions, type Format, type OutputOptions } from '../output/output-options.ts';
import { ageText, timeOf } from '../output/quantity.ts';
import { show, type View } from '../output/show.ts';
import { ROLE_NAMES, roleOf } from '../resources/roles.ts';
import type { Session } from '../session.ts';

interface CreateOptions extends GlobalOptions {
  role: string;
  ttl: number;
  description: string;
  fleet?: boolean;
  output?: Format;
}

export const define: Define = (command, session) => {
  addOutputOptions(
    command
      .command('ls', { isDefault: true })
      .alias('list')
      .description('List tokens: of all namespaces, or of -n.'),
  ).action(session.action((options: OutputOptions & GlobalOptions) => ls(session, options)));
  command
    .command('create [description]')
    .description('Make a token with a role in a namespace; it is shown this once.')
    .addOption(new Option('-r, --role <role>', 'what it may do').choices(ROLE_NAMES).default('viewer'))
    .addOption(durationOption('--ttl <duration>', 'how long it is good, at most a year', '30d'))
    .option('--fleet', "in all namespaces, and for what is no namespace's")
    .addOption(
      new Option('-o, --output <format>', 'json or yaml (default: the token alone)').choices([
        'json',
        'yaml',
      ]),
    )
    .action(
      session.action((description: string | undefined, options: CreateOptions) =>
        create(session, description, options),
      ),
    );
  command
    .command('rm <id...>')
    .alias('revoke')
    .description('Make tokens worthless.')
    .action(session.action((ids: string[]) => rm(session, ids)));
  examples(
    command,
    ['For a pipeline', 'longshore token create -n ci -r operator --ttl 90d "build server" > token'],
    ['Use it', 'longshore context set ci --server gateway.example:7443 --ca ca.crt --token-file token'],
    ['One that got into wrong hands', 'longshore token rm 3kq9'],
  );
};

async function everyTokens(access: ServiceClient<typeof AccessService>, namespace: string): Promise<Token[]> {
  const tokens: Token[] = [];
  let pageToken = '';
  do {
    const page = await access.listTokens({ namespace, pageToken });
    tokens.push(...page.tokens);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return tokens;
}

async function ls(session: Session, options: OutputOptions & GlobalOptions): Promise<void> {
  const client = await session.calls();
  const access = client.service(AccessService);
  const tokens = await everyTokens(access, options.namespace ?? '').catch((error: unknown) => {
    if (options.namespace === undefined) hintAtNamespace(error, client);
    throw error;
  });
  await show(session, tokens, VIEW, options);
}

async function create(session: Session, description = '', options: CreateOptions): Promise<void> {
  const client = await session.calls();
  const { token, secret } = await client.service(AccessService).createToken({
    namespace: options.fleet ? '*' : client.namespace,
    role: roleOf(options.role),
    description,
    ttl: durationOf(options.ttl),
  });
  if (options.output) {
    return showDocument(session, { ...(token && (VIEW.document(token) as object)), secret }, options.output);
  }
  session.note(
    `Token ${token?.id}, ${options.role} in ${token?.namespace}, until ${timeOf(token?.expiresAt)}:`,
  );
  session.line(secret);
}

async function rm(session: Session, ids: string[]): Promise<void> {
  const client = await session.calls();
  await session.each(ids, (id) => client.service(AccessService).revokeToken({ id }));
}

const VIEW: View<Token> = {
  columns: [
    { header: 'ID', value: ({ id }) => id },
    { header: 'NAMESPACE', value: ({ namespace }) => namespace },
    { header: 'DESCRIPTION', value: ({ description }) => description, shrinks: true },
    { header: 'CREATED', value: ({ createdAt }) => ageText(createdAt) },
    { header: 'EXPIRES', value: ({ expiresAt }) => timeOf(expiresAt) ?? 'never' },
    { header: 'MADE BY', value: ({ createdBy }) => createdBy, isWide: true },
  ],
  name: ({ id }) => id,
  document: ({ id, namespace, description, createdBy, createdAt, expiresAt }) => ({
    id,
    namespace,
    description,
    created_by: createdBy,
    created_at: timeOf(createdAt),
    expires_at: timeOf(expiresAt),
  }),
};
