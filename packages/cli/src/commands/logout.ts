import { type Define, examples } from '../command.ts';
import { forget } from '../registries/credentials.ts';
import { hostOf } from '../registries/docker-config.ts';
import type { Session } from '../session.ts';

export const define: Define = (command, session) => {
  command
    .argument('[registry]', 'host, or host:port', 'docker.io')
    .action(session.action((registry: string) => logout(session, registry)));
  examples(command, ['Forget a password', 'longshore logout registry.example']);
};

async function logout(session: Session, registry: string): Promise<void> {
  const host = hostOf(registry);
  const wasKnown = await forget(session.host.env, host);
  session.line(wasKnown ? `Removed the credentials of ${host}` : `No credentials of ${host} were kept`);
}
