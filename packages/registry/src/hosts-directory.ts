import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import { type HostEntry, parseHostsFile } from './hosts-file.ts';
import { ALL_CAPABILITIES, plainRegistryHost, type RegistryHost } from './registry-host.ts';

const HOSTS_FILE = 'hosts.toml';
/** For registries without a directory of their own. */
const DEFAULT_DIRECTORY = '_default';

/**
 * The hosts for a registry, in the order in which they are tried, as directories like `/etc/containerd/certs.d` say: of the first directory
 * that has one for it, `<registry>/hosts.toml`, or certificates as Docker has them (`*.crt`; `*.cert` with `*.key`). The registry
 * itself, where they say nothing. They are read anew each time. Throws FailedPrecondition for what cannot be read.
 * Source: containerd docs/hosts.md.
 */
export async function registryHosts(
  directories: readonly string[],
  host: string,
  plainHttp = false,
): Promise<RegistryHost[]> {
  const plain = plainRegistryHost(host, plainHttp);
  const directory = await directoryFor(directories, host);
  if (directory === undefined) return [plain];
  const path = join(directory, HOSTS_FILE);
  const text = await contentOf(path);
  const entries = text === undefined ? [await dockerEntry(directory)] : parseHostsFile(text, path);
  return Promise.all(entries.map((entry) => hostOf(entry, plain)));
}

async function directoryFor(directories: readonly string[], host: string): Promise<string | undefined> {
  // As a name of a directory it means another one.
  if (/^\.*$/.test(host)) return undefined;
  const colon = host.lastIndexOf(':');
  const withPort = colon > 0 ? [`${host.slice(0, colon)}_${host.slice(colon + 1)}_`] : [];
  for (const directory of directories) {
    for (const name of [...withPort, host, DEFAULT_DIRECTORY]) {
      const path = join(directory, name);
      if (await isThere(path)) return path;
    }
  }
  return undefined;
}

/** What is sent to the registry itself is its own in all that the file does not say; it may be asked for everything. */
async function hostOf(entry: HostEntry, plain: RegistryHost): Promise<RegistryHost> {
  const { endpoint, caFiles, clientFiles, skipsVerification, headers } = entry;
  const clients = clientFiles.map(async ({ cert, key }) => ({
    cert: await required(cert),
    key: await required(key ?? cert),
  }));
  return {
    endpoint: endpoint ?? plain.endpoint,
    capabilities: endpoint === undefined ? ALL_CAPABILITIES : entry.capabilities,
    ca: await Promise.all(caFiles.map(required)),
    clients: await Promise.all(clients),
    skipsVerification,
    headers,
  };
}

async function dockerEntry(directory: string): Promise<HostEntry> {
  const names = (await readdir(directory)).sort();
  const certificates = names.filter((name) => name.endsWith('.cert'));
  return {
    endpoint: undefined,
    capabilities: ALL_CAPABILITIES,
    caFiles: names.filter((name) => name.endsWith('.crt')).map((name) => join(directory, name)),
    clientFiles: certificates.map((name) => {
      const path = join(directory, name);
      return { cert: path, key: path.replace(/\.cert$/, '.key') };
    }),
    skipsVerification: false,
    headers: {},
  };
}

async function required(path: string): Promise<string> {
  const text = await contentOf(path);
  if (text === undefined) throw failedPrecondition(`file ${JSON.stringify(path)} of a registry is not there`);
  return text;
}

async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return absent(path, error);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    return absent(path, error) ?? false;
  }
}

function absent(path: string, error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw failedPrecondition(`file ${JSON.stringify(path)} of a registry: ${messageOf(error)}`, {
    cause: error,
  });
}
