import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { failedPrecondition, messageOf } from '@longshore/errors';
import type { Environment } from '../host.ts';

/** Where to connect to, and as whom. All may be left out. */
export interface Context {
  /** `unix:///path`, or `host:port` of a gateway, several with commas between. */
  address?: string;
  /** Paths of PEM files: who vouches for the gateway; who calls. */
  ca?: string;
  certificate?: string;
  key?: string;
  /** In place of a certificate; `token_file` names a file that holds it. */
  token?: string;
  token_file?: string;
  /** What is meant when a command does not say. */
  namespace?: string;
  node?: string;
}

export const CONTEXT_KEYS = [
  'address',
  'ca',
  'certificate',
  'key',
  'token',
  'token_file',
  'namespace',
  'node',
] as const satisfies readonly (keyof Context)[];

export interface Config {
  /** Of the context that is used; undefined: the node socket of this machine. */
  current?: string | undefined;
  contexts: Record<string, Context>;
}

export function configPath(env: Environment): string {
  const base = env.XDG_CONFIG_HOME || join(env.HOME || '/root', '.config');
  return env.LONGSHORE_CONFIG || join(base, 'longshore', 'config.yaml');
}

/** A file that is not there holds no contexts. Throws FailedPrecondition for one that cannot be read or understood. */
export async function readConfig(path: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} };
    throw failedPrecondition(`contexts: ${messageOf(error)}`, { cause: error });
  }
  const { parse } = await import('yaml');
  try {
    return checkConfig(parse(text) ?? {});
  } catch (error) {
    throw failedPrecondition(`contexts in ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whole or not at all, and for its owner only: it may hold tokens. */
export async function writeConfig(path: string, config: Config): Promise<void> {
  const { stringify } = await import('yaml');
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, stringify(config), { mode: 0o600 });
  await rename(temporary, path);
}

function checkConfig(value: unknown): Config {
  const { current, contexts, ...rest } = asObject(value, 'file');
  refuseUnknown(rest, 'file');
  const checked = Object.entries(asObject(contexts ?? {}, 'contexts')).map(
    ([name, context]) => [name, checkContext(name, context)] as const,
  );
  return {
    ...(current !== undefined && { current: asText(current, 'current') }),
    contexts: Object.fromEntries(checked),
  };
}

function checkContext(name: string, value: unknown): Context {
  const context = asObject(value, `context "${name}"`);
  const { ...rest } = context;
  for (const key of CONTEXT_KEYS) {
    if (context[key] !== undefined) asText(context[key], `context "${name}": ${key}`);
    delete rest[key];
  }
  refuseUnknown(rest, `context "${name}"`);
  return context as Context;
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error(`${what} holds no keys and values`);
}

function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${what} is no text`);
}

function refuseUnknown(rest: Record<string, unknown>, what: string): void {
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new Error(`${what} has the unknown key "${unknown}"`);
}
