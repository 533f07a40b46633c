import { readFile } from 'node:fs/promises';
import { messageOf } from '@longshore/errors';
import { checkLogin, RegistryTransport } from '@longshore/registry';
import { type Define, examples } from '../command.ts';
import { ask, askSecretly, readAllInput } from '../prompt.ts';
import { keepPassword } from '../registries/credentials.ts';
import { hostOf } from '../registries/docker-config.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options {
  username?: string;
  password?: string;
  passwordStdin?: boolean;
  plainHttp?: boolean;
  tlsCa?: string;
}

export const define: Define = (command, session) => {
  command
    .argument('[registry]', 'host, or host:port', 'docker.io')
    .option('-u, --username <name>', 'asked for at a terminal when it is not given')
    .option('-p, --password <password>', 'seen by everyone on this machine: better --password-stdin')
    .option('--password-stdin', 'read the password from standard input')
    .option('--plain-http', 'the registry speaks HTTP')
    .option('--tls-ca <file>', 'certificate authorities of the registry, in PEM')
    .action(session.action((registry: string, options: Options) => login(session, registry, options)));
  examples(
    command,
    ['At a terminal', 'longshore login registry.example'],
    ['In a script', 'longshore login -u ci --password-stdin registry.example < password'],
  );
};

async function login(session: Session, registry: string, options: Options): Promise<void> {
  const host = hostOf(registry);
  const { username, password } = await whoAsks(session, options);
  const ca = options.tlsCa === undefined ? undefined : await pemOf(options.tlsCa);
  await using transport = new RegistryTransport(ca === undefined ? {} : { ca });
  const credentials = { kind: 'password', username, password } as const;
  await checkLogin(transport, { host, credentials, plainHttp: options.plainHttp ?? false });
  const keeper = await keepPassword(session.host.env, host, username, password);
  session.note(`The password is kept in ${keeper}.`);
  session.line('Login Succeeded');
}

async function whoAsks(session: Session, options: Options): Promise<{ username: string; password: string }> {
  const { host } = session;
  if (options.passwordStdin && options.password !== undefined) {
    throw new UsageError('--password and --password-stdin exclude each other');
  }
  if (options.passwordStdin && options.username === undefined) {
    throw new UsageError('--password-stdin needs --username');
  }
  const username = options.username ?? (await ask(host, 'Username: '));
  const password = options.passwordStdin
    ? await readAllInput(host)
    : (options.password ?? (await askSecretly(host, 'Password: ')));
  if (username === '' || password === '') throw new UsageError('neither username nor password may be empty');
  return { username, password };
}

async function pemOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--tls-ca: ${messageOf(error)}`);
  }
}
