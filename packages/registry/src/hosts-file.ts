import { posix } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import { parse } from 'smol-toml';
import { DOCKER_HUB, DOCKER_HUB_REGISTRY } from './endpoint.ts';
import { ALL_CAPABILITIES, type HostCapability } from './registry-host.ts';

/** One host of a `hosts.toml`, whose files are named and not read. */
export interface HostEntry {
  /** Undefined for the registry itself. */
  endpoint: string | undefined;
  capabilities: ReadonlySet<HostCapability>;
  caFiles: string[];
  /** A file without a key's holds the key too. */
  clientFiles: { cert: string; key: string | undefined }[];
  skipsVerification: boolean;
  headers: Record<string, string>;
}

/** Known to newer ones, and nothing that is asked for here. */
const IGNORED_CAPABILITIES = ['referrers'];

/**
 * What a `hosts.toml` says, in the order in which its hosts are tried; the registry itself comes last. `path` is the file's: others are named
 * relative to it. Throws FailedPrecondition for what is none. Source: containerd docs/hosts.md, core/remotes/docker/config/hosts.go.
 */
export function parseHostsFile(text: string, path: string): HostEntry[] {
  const refuse = (problem: string) => failedPrecondition(`hosts file ${JSON.stringify(path)}: ${problem}`);
  let document: Record<string, unknown>;
  try {
    document = parse(text);
  } catch (error) {
    throw failedPrecondition(`hosts file ${JSON.stringify(path)}: ${messageOf(error)}`, { cause: error });
  }
  const { host: hosts = {}, server = '' } = document;
  if (!isTable(hosts)) throw refuse('host must be tables');
  if (typeof server !== 'string') throw refuse('server must be a string');
  const entries = Object.entries(hosts).map(([name, table]) => {
    if (!isTable(table)) throw refuse(`host ${JSON.stringify(name)} must be a table`);
    return entryOf(name, table, path, refuse);
  });
  return [...entries, entryOf(server, document, path, refuse)];
}

type Refuse = (problem: string) => Error;

function entryOf(server: string, table: Record<string, unknown>, path: string, refuse: Refuse): HostEntry {
  const {
    capabilities,
    ca,
    client,
    header = {},
    skip_verify: skips = false,
    override_path: overrides = false,
  } = table;
  if (typeof skips !== 'boolean') throw refuse('skip_verify must be true or false');
  if (typeof overrides !== 'boolean') throw refuse('override_path must be true or false');
  if (!isTable(header)) throw refuse('header must be a table');
  const absolute = (file: string) => posix.resolve(posix.dirname(path), file);
  const headers = Object.entries(header).map(([name, value]) => {
    const values = stringsOf(value, `header ${JSON.stringify(name)}`, refuse);
    return [name.toLowerCase(), values.join(', ')] as const;
  });
  return {
    endpoint: server === '' ? undefined : endpointIn(server, overrides, refuse),
    capabilities: capabilitiesOf(capabilities, refuse),
    caFiles: stringsOf(ca ?? [], 'ca', refuse).map(absolute),
    clientFiles: clientsOf(client, refuse).map(([cert, key]) => ({
      cert: absolute(cert),
      key: key ? absolute(key) : undefined,
    })),
    skipsVerification: skips,
    headers: Object.fromEntries(headers),
  };
}

/** A path that is no API's gets one, unless it is said that it is. */
function endpointIn(server: string, overrides: boolean, refuse: Refuse): string {
  const url = URL.parse(server.startsWith('http') ? server : `https://${server}`);
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw refuse(`${JSON.stringify(server)} is no URL of a registry`);
  }
  // Its web site is there, and people mean the registry.
  if (url.host === DOCKER_HUB) url.host = DOCKER_HUB_REGISTRY;
  const clean = posix.normalize(url.pathname).replace(/\/$/, '');
  const isWhole = overrides || clean.endsWith('/v2');
  return `${url.origin}${isWhole ? clean : `${clean}/v2`}`;
}

function capabilitiesOf(given: unknown, refuse: Refuse): ReadonlySet<HostCapability> {
  const names = given === undefined ? [] : stringsOf(given, 'capabilities', refuse);
  if (names.length === 0) return ALL_CAPABILITIES;
  const known = names
    .map((name) => name.toLowerCase())
    .filter((name) => !IGNORED_CAPABILITIES.includes(name));
  const unknown = known.find((name) => !ALL_CAPABILITIES.has(name as HostCapability));
  if (unknown !== undefined) throw refuse(`capability ${JSON.stringify(unknown)} is unknown`);
  return new Set(known as HostCapability[]);
}

/** A file, files, or pairs of certificate and key. */
function clientsOf(given: unknown, refuse: Refuse): [cert: string, key?: string][] {
  if (given === undefined) return [];
  if (typeof given === 'string') return [[given]];
  if (!Array.isArray(given)) throw refuse('client must be a file, files, or pairs of files');
  return given.map((each) => {
    const pair = stringsOf(each, 'client', refuse);
    const [cert, key] = pair;
    if (!cert || pair.length > 2) throw refuse('client must be a file, files, or pairs of files');
    return key ? [cert, key] : [cert];
  });
}

function stringsOf(value: unknown, name: string, refuse: Refuse): string[] {
  const values = Array.isArray(value) ? value : [value];
  if (values.every((each) => typeof each === 'string')) return values;
  throw refuse(`${name} must be strings`);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
