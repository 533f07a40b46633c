import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@longshore/errors';
import type { commonKeys } from './common-config.ts';
import {
  type ConfigKeys,
  type ConfigOf,
  helpText,
  loadConfig,
  parseCommandLine,
  readConfigFile,
} from './config.ts';
import { releaseMemoryWhenIdle } from './idle-memory.ts';
import { createLogger, type Logger } from './logger.ts';
import { createMetrics, type Metrics, serveMetrics } from './metrics.ts';
import type { ReadinessChecks } from './readiness.ts';
import { startTracing } from './tracing.ts';

/** What a process has before its service starts. */
export interface ServiceContext {
  log: Logger;
  metrics: Metrics;
  /** What this process was started with: for the programs that it starts, not for configuration. */
  env: Readonly<NodeJS.ProcessEnv>;
  /** Ends the process as SIGTERM would: for failures that a restart heals better than the service itself. */
  stop(reason: string): void;
}

export interface RunningService {
  /** Addresses by name, e.g. `grpc`; written to `$LONGSHORE_STATE/<service>.json`. */
  addresses: Record<string, string>;
  isHealthy(): boolean;
  /** What `/readyz` asks for. Calls that do not need it go on without: gRPC's health and `/healthz` do not ask. */
  checks?: ReadinessChecks;
  /** Finishes what is in flight, within the configured time. */
  close(): Promise<void>;
}

export interface ServiceDefinition<K extends ConfigKeys> {
  name: string;
  /** One line for `--help`. */
  purpose: string;
  keys: K;
  start(config: ConfigOf<K>, context: ServiceContext): Promise<RunningService>;
  /** What the program does instead when its first argument is the name: gets the arguments after it. */
  commands?: Readonly<Record<string, Command>>;
}

/** Answers on standard output, complains on standard error, and sets the exit code. */
export type Command = (args: string[], env: NodeJS.ProcessEnv) => Promise<void>;

/** Runs one of its commands, answers `--help`, else starts the service, says that it is ready, and stops it on a signal. */
export async function runService<K extends ReturnType<typeof commonKeys>>(
  definition: ServiceDefinition<K>,
): Promise<void> {
  const [name = '', ...args] = process.argv.slice(2);
  if (definition.commands && Object.hasOwn(definition.commands, name)) {
    return definition.commands[name]!(args, process.env);
  }
  const config = await configure(definition);
  if (config === undefined) return;
  const common: ConfigOf<ReturnType<typeof commonKeys>> = config;
  const log = createLogger(definition.name, common.logLevel);
  failLoudly(log);
  const stopping = stopSignal();
  const tracing = await startTracing(definition.name, common.otlpEndpoint);
  const metrics = createMetrics(definition.name);
  const running = await definition.start(config, { log, metrics, env: process.env, stop: stopping.stop });
  const metricsServer = await serveMetrics(metrics, common.metricsListen, running);
  const announcement = announce(common.state, definition.name, {
    ...running.addresses,
    metrics: `http://${metricsServer.address}/metrics`,
  });
  releaseMemoryWhenIdle();
  log.info({ addresses: running.addresses }, 'ready');

  log.info({ reason: await stopping.promise }, 'stopping');
  announcement.withdraw();
  await running.close();
  await metricsServer.close();
  await tracing.close();
  process.exit(0);
}

async function configure<K extends ConfigKeys>(
  definition: ServiceDefinition<K>,
): Promise<ConfigOf<K> | undefined> {
  try {
    const { help, configFile } = parseCommandLine(process.argv.slice(2));
    if (!help) return loadConfig(definition.keys, process.env, await readConfigFile(configFile));
    process.stdout.write(helpText(definition.name, definition.purpose, definition.keys));
  } catch (error) {
    process.stderr.write(`longshore ${definition.name}: ${messageOf(error)}\nTry --help.\n`);
    process.exitCode = 2;
  }
  return undefined;
}

/** A supervisor that is gone (its IPC channel closes, however it ended) stops the service as a signal does. */
function stopSignal(): { promise: Promise<string>; stop(reason: string): void } {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  process.once('disconnect', () => resolve('supervisor is gone'));
  return { promise, stop: resolve };
}

/** A bug must not leave a half-working process behind: log it and let the supervisor start afresh. */
function failLoudly(log: Logger): void {
  const die = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
}

function announce(state: string, service: string, addresses: Record<string, string>): { withdraw(): void } {
  const path = join(state, `${service}.json`);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify({ pid: process.pid, addresses }, null, 2)}\n`, {
    mode: 0o600,
  });
  renameSync(`${path}.new`, path);
  process.send?.({ ready: true });
  return { withdraw: () => rmSync(path, { force: true }) };
}
