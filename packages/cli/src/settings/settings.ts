import { readFile } from 'node:fs/promises';
import { invalidArgument, messageOf } from '@longshore/errors';
import type { GlobalOptions } from '../global-options.ts';
import type { Environment } from '../host.ts';
import { nearest } from '../nearest.ts';
import { UsageError } from '../usage-error.ts';
import { type Context, configPath, readConfig } from './config-file.ts';
import { nodeSocketOf } from './node-socket.ts';

/** The context that is there without a file: the node socket of this machine. */
export const LOCAL_CONTEXT = 'local';

/** Where to connect to, as whom, and what scope is meant. */
export interface Settings {
  /** Name of the context that the rest is from. */
  context: string;
  address: string;
  tls: { ca: string; cert?: string; key?: string } | undefined;
  token: string | undefined;
  namespace: string;
  node: string | undefined;
}

/** Options go before the environment, that before the context. Throws UsageError for a context that is not there. */
export async function settingsOf(options: GlobalOptions, env: Environment): Promise<Settings> {
  const { name, context } = await chosenContext(options, env);
  const { ca, certificate, key } = context;
  return {
    context: name,
    address: options.address ?? (env.LONGSHORE_ADDRESS || context.address || nodeSocketOf(env)),
    tls: ca ? { ca, ...(certificate && { cert: certificate }), ...(key && { key }) } : undefined,
    token: await tokenOf(context, env),
    namespace: options.namespace ?? (env.LONGSHORE_NAMESPACE || context.namespace || 'default'),
    node: options.node ?? (env.LONGSHORE_NODE || context.node || undefined),
  };
}

async function chosenContext(
  options: GlobalOptions,
  env: Environment,
): Promise<{ name: string; context: Context }> {
  const path = configPath(env);
  const { current, contexts } = await readConfig(path);
  const name = options.context ?? (env.LONGSHORE_CONTEXT || current || LOCAL_CONTEXT);
  const context = contexts[name];
  if (context) return { name, context };
  if (name === LOCAL_CONTEXT) return { name, context: {} };
  const meant = nearest(name, [LOCAL_CONTEXT, ...Object.keys(contexts)]);
  const hint = meant ? `Did you mean "${meant}"?` : '"longshore context ls" lists those that are there.';
  throw new UsageError(`context "${name}": not in ${path}`, hint);
}

async function tokenOf(context: Context, env: Environment): Promise<string | undefined> {
  if (env.LONGSHORE_TOKEN) return env.LONGSHORE_TOKEN;
  const file = env.LONGSHORE_TOKEN_FILE || context.token_file;
  if (!file) return context.token;
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw invalidArgument(`token file: ${messageOf(error)}`, { cause: error });
  }
}
