import { checkLogin, RegistryTransport } from '@longshore/registry';
import { type Define, examples } from '../command.ts';
import { ask, askSecretly, readAllInput } from '../prompt.ts';
import { keepPassword } from '../registries/credentials.ts';
import { hostOf } from '../registries/docker-config.ts';
import { addRegistryOptions, type RegistryFlags, registryHost } from '../registries/registry-options.ts';
import type { Session } from '../session.ts';
import { UsageError } from '../usage-error.ts';

interface Options extends RegistryFlags {
  username?: string;
  password?: string;
  passwordStdin?: boolean;
}

export const define: Define = (command, session) => {
  addRegistryOptions(command.argument('[registry]', 'host, or host:port', 'docker.io'))
    .option('-u, --username <name>', 'asked for at a terminal when it is not given')
    .option('-p, --password <password>', 'seen by everyone on this machine: better --password-stdin')
    .option('--password-stdin', 'read the password from standard input')
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
  const { plainHttp = false, ca } = (await registryHost(options)) ?? {};
  await using transport = new RegistryTransport(ca === undefined ? {} : { ca });
  const credentials = { kind: 'password', username, password } as const;
  await checkLogin(transport, { host, credentials, plainHttp });
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
