import { isAbsolute, resolve } from 'node:path';
import { notFound } from '@longshore/errors';
import type { Command } from 'commander';
import { type Define, examples } from '../command.ts';
import { nearest } from '../nearest.ts';
import { addOutputOptions, type OutputOptions } from '../output/output-options.ts';
import { show, type View } from '../output/show.ts';
import type { Session } from '../session.ts';
import {
  CONTEXT_KEYS,
  type Config,
  type Context,
  configPath,
  readConfig,
  writeConfig,
} from '../settings/config-file.ts';
import { nodeSocketOf } from '../settings/node-socket.ts';
import { LOCAL_CONTEXT } from '../settings/settings.ts';

interface Named extends Context {
  name: string;
  isCurrent: boolean;
}

/** Values that are paths: of this machine, and so good from any directory. */
const PATHS: ReadonlySet<keyof Context> = new Set(['ca', 'certificate', 'key', 'token_file']);

export const define: Define = (command, session) => {
  const list = command.command('ls', { isDefault: true }).alias('list').description('List contexts.');
  addOutputOptions(list).action(session.action((options: OutputOptions) => ls(session, options)));
  command
    .command('use <context>')
    .description('Make a context the one that is used when a command does not say.')
    .action(session.action((name: string) => use(session, name)));
  addValues(command.command('set <context>').alias('create'))
    .description('Make a context, or change what is given of one; an empty value removes it.')
    .action(session.action((name: string, options: Values) => set(session, name, options)));
  command
    .command('rm <context...>')
    .description('Forget contexts.')
    .action(session.action((names: string[]) => rm(session, names)));
  command
    .command('show')
    .description('Print the name of the context in use.')
    .action(session.action(async () => session.line((await session.settings()).context)));
  examples(
    command,
    [
      'A fleet, with a certificate',
      'longshore context set prod --server gateway.example:7443 --ca ca.crt --certificate me.crt --key me.key',
    ],
    [
      'With a token, and a namespace of its own',
      'longshore context set ci --server gateway.example:7443 --ca ca.crt --token-file t --default-namespace ci',
    ],
    ['Use it from now on, or once', 'longshore context use prod; longshore --context ci ps'],
    ['Back to the node socket of this machine', `longshore context use ${LOCAL_CONTEXT}`],
  );
};

interface Values {
  server?: string;
  ca?: string;
  certificate?: string;
  key?: string;
  tokenFile?: string;
  tokenStdin?: boolean;
  defaultNamespace?: string;
  defaultNode?: string;
}

function addValues(command: Command): Command {
  return command
    .option(
      '--server <address>',
      'unix:///path of a node socket, or host:port of a gateway; several with commas between',
    )
    .option('--ca <file>', 'certificate authority of the fleet')
    .option('--certificate <file>', 'who calls')
    .option('--key <file>', 'private key of the certificate')
    .option('--token-file <file>', 'file with a token, in place of a certificate')
    .option('--token-stdin', 'read the token from standard input and keep it in the file of contexts')
    .option('--default-namespace <namespace>', 'namespace, when a command does not say')
    .option('--default-node <node>', 'node, when a command does not say');
}

async function ls(session: Session, options: OutputOptions): Promise<void> {
  const { contexts } = await readConfig(configPath(session.host.env));
  const { context: current } = await session.settings();
  const local = { address: nodeSocketOf(session.host.env) };
  const all = Object.entries({ [LOCAL_CONTEXT]: local, ...contexts });
  const named = all.map(([name, context]) => ({ ...context, name, isCurrent: name === current }));
  await show(session, named, VIEW, options);
}

async function use(session: Session, name: string): Promise<void> {
  await change(session, (config) => {
    if (name !== LOCAL_CONTEXT && !config.contexts[name]) throw noContext(name, config);
    config.current = name;
  });
  session.line(name);
}

async function set(session: Session, name: string, values: Values): Promise<void> {
  const token = values.tokenStdin ? await firstLine(session) : undefined;
  const given: Record<keyof Context, string | undefined> = {
    address: values.server,
    ca: values.ca,
    certificate: values.certificate,
    key: values.key,
    token,
    token_file: values.tokenFile,
    namespace: values.defaultNamespace,
    node: values.defaultNode,
  };
  await change(session, (config) => {
    const context: Context = { ...config.contexts[name] };
    for (const key of CONTEXT_KEYS) {
      const value = given[key];
      if (value === '') delete context[key];
      else if (value !== undefined) context[key] = PATHS.has(key) ? absolute(value) : value;
    }
    config.contexts[name] = context;
  });
  session.line(name);
}

async function rm(session: Session, names: string[]): Promise<void> {
  await session.each(names, (name) =>
    change(session, (config) => {
      if (!config.contexts[name]) throw noContext(name, config);
      delete config.contexts[name];
      if (config.current === name) delete config.current;
    }),
  );
}

async function change(session: Session, edit: (config: Config) => void): Promise<void> {
  const path = configPath(session.host.env);
  const config = await readConfig(path);
  edit(config);
  await writeConfig(path, config);
}

function noContext(name: string, { contexts }: Config): Error {
  const meant = nearest(name, Object.keys(contexts));
  return Object.assign(notFound(`context "${name}"`), meant && { hint: `Did you mean "${meant}"?` });
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : resolve(path);
}

async function firstLine(session: Session): Promise<string> {
  let text = '';
  for await (const part of session.host.stdin) text += part;
  return text.split('\n', 1)[0]!.trim();
}

const VIEW: View<Named> = {
  columns: [
    { header: 'CURRENT', value: ({ isCurrent }) => (isCurrent ? '*' : '') },
    { header: 'NAME', value: ({ name }) => name },
    { header: 'ADDRESS', value: ({ address = '' }) => address, shrinks: true },
    { header: 'NAMESPACE', value: ({ namespace = '' }) => namespace },
    { header: 'NODE', value: ({ node = '' }) => node },
    { header: 'CREDENTIAL', value: credentialOf },
    { header: 'CA', value: ({ ca = '' }) => ca, isWide: true },
  ],
  name: ({ name }) => name,
  // A token is a secret, and no part of a list.
  document: ({ isCurrent, token, ...context }) => ({
    ...context,
    current: isCurrent,
    has_token: token !== undefined,
  }),
};

function credentialOf({ certificate, token, token_file }: Named): string {
  if (token !== undefined || token_file) return 'token';
  return certificate ? 'certificate' : '';
}
