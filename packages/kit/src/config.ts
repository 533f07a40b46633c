import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { invalidArgument, messageOf } from '@longshore/errors';
import { safeParse } from 'valibot';
import type { ValueSchema } from './value-schema.ts';

/** One configuration key of a service. */
export interface ConfigKey<T> {
  /** Environment variable; wins over the file. */
  env: string;
  schema: ValueSchema<T>;
  /** A value, or a function of the keys declared before this one. No default means that the key is required. */
  default?: T | ((earlier: Record<string, unknown>) => T);
  /** How `--help` shows a computed default. */
  defaultText?: string;
  /** e.g. `ms`, `bytes`, `path`, `address`. */
  unit?: string;
  /** It may hold a password: `<env>_FILE` can name a file with the value, which no listing of environments shows. */
  secret?: boolean;
  meaning: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a key of any type; the mapped type below recovers it.
export type ConfigKeys = Record<string, ConfigKey<any>>;

export type ConfigOf<K extends ConfigKeys> = {
  readonly [P in keyof K]: K[P] extends ConfigKey<infer T> ? T : never;
};

/** Keeps the type of each key's value. */
export function key<T>(definition: ConfigKey<T>): ConfigKey<T> {
  return definition;
}

export interface CommandLine {
  help: boolean;
  configFile: string | undefined;
}

export function parseCommandLine(argv: string[]): CommandLine {
  try {
    const { values } = parseArgs({
      args: argv,
      options: { help: { type: 'boolean', short: 'h' }, config: { type: 'string', short: 'c' } },
    });
    return { help: values.help === true, configFile: values.config };
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
}

/**
 * Reads the keys from the environment, then what a file holds, then their defaults.
 * Throws InvalidArgument that names every wrong key at once.
 */
export function loadConfig<K extends ConfigKeys>(
  keys: K,
  env: NodeJS.ProcessEnv,
  file: Readonly<Record<string, unknown>> = {},
): ConfigOf<K> {
  const problems = Object.keys(file)
    .filter((name) => !Object.hasOwn(keys, name))
    .map((name) => `${name}: unknown key`);
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(keys)) {
    const raw =
      env[definition.env] ?? secretOf(definition, env) ?? file[name] ?? defaultOf(definition, values);
    const { success, output, issues } = safeParse(definition.schema, raw, { abortEarly: true });
    if (success) values[name] = output;
    else problems.push(`${name} (${definition.env}): ${describe(definition, raw, issues[0].message)}`);
  }
  if (problems.length > 0) throw invalidArgument(`configuration:\n  ${problems.join('\n  ')}\n`);
  return Object.freeze(values) as ConfigOf<K>;
}

/** The text of `--help`: every key with its variable, unit, default and meaning. */
export function helpText(service: string, purpose: string, keys: ConfigKeys): string {
  const lines = [
    `longshore ${service}: ${purpose}`,
    '',
    `Usage: node services/${service}/src/main.ts [--config FILE.toml] [--help]`,
    '',
    'Keys (environment variable; name in the file; default):',
  ];
  for (const [name, definition] of Object.entries(keys)) {
    const unit = definition.unit ? `, ${definition.unit}` : '';
    lines.push(
      '',
      `  ${definition.env}  (${name}${unit}; ${defaultTextOf(definition)})`,
      `      ${definition.meaning}`,
      ...(definition.secret ? [`      Or in a file that ${definition.env}_FILE names.`] : []),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** What the TOML file holds, for `loadConfig`; nothing when there is none. Throws InvalidArgument. */
export async function readConfigFile(path: string | undefined): Promise<Record<string, unknown>> {
  if (path === undefined) return {};
  const { parse } = await import('smol-toml');
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw invalidArgument(`configuration file ${JSON.stringify(path)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function defaultOf(definition: ConfigKey<unknown>, earlier: Record<string, unknown>): unknown {
  return typeof definition.default === 'function' ? definition.default(earlier) : definition.default;
}

function defaultTextOf(definition: ConfigKey<unknown>): string {
  if (definition.defaultText !== undefined) return `default ${definition.defaultText}`;
  if (definition.default === undefined) return 'required or empty';
  return `default ${JSON.stringify(definition.default)}`;
}

/** Throws InvalidArgument for a file that cannot be read. */
function secretOf({ secret, env: name }: ConfigKey<unknown>, env: NodeJS.ProcessEnv): string | undefined {
  const path = secret ? env[`${name}_FILE`] : undefined;
  if (path === undefined || path === '') return undefined;
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw invalidArgument(`${name}_FILE ${JSON.stringify(path)}: ${messageOf(error)}`, { cause: error });
  }
}

function describe({ secret }: ConfigKey<unknown>, raw: unknown, problem: string): string {
  if (raw === undefined) return 'is required';
  return secret ? problem : `${JSON.stringify(raw)}: ${problem}`;
}
