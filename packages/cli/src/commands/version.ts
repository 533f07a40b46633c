import { Option } from 'commander';
import { type Define, examples } from '../command.ts';
import { exitCodeOf } from '../exit-code.ts';
import { showDocument } from '../output/document.ts';
import type { Format } from '../output/output-options.ts';
import { reportError } from '../report-error.ts';
import { askVersion, type ServerVersion } from '../server-version.ts';
import type { Session } from '../session.ts';
import { VERSION } from '../version.ts';

interface Options {
  client?: boolean;
  output?: Format;
  debug?: boolean;
}

interface Server extends ServerVersion {
  address: string;
}

export const define: Define = (command, session) => {
  command
    .option('--client', 'of this command alone; asks nobody')
    .addOption(new Option('-o, --output <format>', 'json or yaml (default: text)').choices(['json', 'yaml']))
    .action(session.action((options: Options) => showVersions(session, options)));
  examples(
    command,
    ['Both sides', 'longshore version'],
    ['In a script, the version of the server', 'longshore version -o json | jq -r .server.version'],
  );
};

async function showVersions(session: Session, options: Options): Promise<void> {
  const client = { version: VERSION, node: process.version, platform: `${process.platform}/${process.arch}` };
  const server = options.client ? undefined : await serverVersion(session, options.debug === true);
  if (options.output) return showDocument(session, { client, server: server ?? null }, options.output);
  session.line(text('Client', client));
  if (server) session.line(`\n${text('Server', server)}`);
}

/** A server that cannot be asked is no reason not to tell of this side. */
async function serverVersion(session: Session, debug: boolean): Promise<Server | undefined> {
  try {
    const { address } = await session.settings();
    const socket = /^unix:\/\/(\/[^,]*)$/.exec(address)?.[1];
    return { address, ...(socket ? await askVersion(socket) : await askByClient(session)) };
  } catch (error) {
    reportError(error, session.host, debug);
    session.exitCode = exitCodeOf(error);
    return undefined;
  }
}

async function askByClient(session: Session): Promise<ServerVersion> {
  const [{ Version }, client] = await Promise.all([
    import('@longshore/proto/containerd/services/version/v1/version'),
    session.calls(),
  ]);
  const { version, revision } = await client.service(Version).version({});
  return { version, revision };
}

function text(side: string, fields: object): string {
  const lines = Object.entries(fields).map(([name, value]) => {
    return ` ${`${name[0]!.toUpperCase()}${name.slice(1)}:`.padEnd(11)}${value}`;
  });
  return [`${side}:`, ...lines].join('\n');
}
