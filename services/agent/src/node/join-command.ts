import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  failedPrecondition,
  invalidArgument,
  isKind,
  messageOf,
  type RetryPolicy,
  retryDelayMs,
} from '@longshore/errors';
import { type ConfigOf, loadConfig, readConfigFile } from '@longshore/kit';
import { JoinService } from '@longshore/proto/longshore/runtime/v1/join';
import { certificateRequestOf, newPrivateKey } from '@longshore/transport';
import { keys } from '../config.ts';
import { hostReport, machineIdOf } from './host.ts';
import { IDENTITY_FILE, loadIdentity, type NodeIdentity } from './identity.ts';
import { IdentityFiles } from './identity-files.ts';
import { fingerprintOf } from './join-token.ts';
import { connectPinned } from './pinned-connection.ts';
import { unaryCall } from './unary-call.ts';

const HELP = `longshore agent join: makes this machine a node of a fleet

Usage: node services/agent/src/main.ts join --server HOST:PORT [--token-file FILE] [--again] [--config FILE.toml]

The token is what CreateJoinToken gave out: one line, read from FILE or from standard input, never from arguments. It is
sent only to a server of the fleet that it is for. The node's key is made here and stays here.

  --server HOST:PORT   where the fleet lets machines join; told with the token
  --token-file FILE    file that holds the token
  --again              joins anew although this disk has joined before: after the node was removed, or, while it is
                       not, with a token that was made for this node

Writes $LONGSHORE_ROOT/identity: node.key (0600), node.crt, ca.crt and control-plane.json, which the agent starts with.
LONGSHORE_ROOT, LONGSHORE_NODE_ID, LONGSHORE_NODE_LABELS and LONGSHORE_MACHINE_ID mean what they mean to the agent.
`;

/** A server that is just being started is worth a wait; together about half a minute. */
const RETRY: RetryPolicy = { initialDelayMs: 250, maxDelayMs: 5_000, attempts: 10 };

/** `join …`: answers one line on standard output; sets the exit code. */
export async function runJoinCommand(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    process.stdout.write(await answer(args, env));
  } catch (error) {
    process.stderr.write(`longshore agent join: ${messageOf(error)}\nTry join --help.\n`);
    process.exitCode = isKind(error, 'InvalidArgument') ? 2 : 1;
  }
}

async function answer(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const options = parseOptions(args);
  if (options.help) return HELP;
  if (!options.server) throw invalidArgument('--server: is required');
  const config = loadConfig(keys, env, await readConfigFile(options.config));
  const files = new IdentityFiles(config.root);
  const known = files.certificate();
  if (known && !options.again) {
    const { id } = loadIdentity(config.root, config.nodeId);
    throw failedPrecondition(
      `node ${JSON.stringify(id)}: has joined already, with a certificate until ${known.validTo}; ` +
        'start its agent, or join --again, after its removal or with a token made for it',
    );
  }
  const token = await readToken(options['token-file']);
  const fingerprint = fingerprintOf(token);
  const isNamed = existsSync(join(config.root, IDENTITY_FILE));
  const identity = loadIdentity(config.root, config.nodeId);
  const { certificate, authorities, addresses } = await joinFleet(
    { server: options.server, token, fingerprint },
    config,
    identity,
    env.PATH ?? '',
  ).catch((error) => {
    // A name that was refused is not this disk's; one that was never answered may be.
    if (!isNamed && !isKind(error, 'Unavailable')) rmSync(join(config.root, IDENTITY_FILE));
    throw error;
  });
  const privateKey = readFileSync(pendingKeyPath(config.root), 'utf8');
  files.save({ privateKey, certificate, authorities }, addresses);
  rmSync(pendingKeyPath(config.root));
  return `node ${JSON.stringify(identity.id)}: has joined; start its agent\n`;
}

async function joinFleet(
  { server, token, fingerprint }: { server: string; token: string; fingerprint: Buffer },
  config: ConfigOf<typeof keys>,
  identity: NodeIdentity,
  searchPath: string,
) {
  const certificateRequest = await certificateRequestOf(await pendingKey(config.root));
  const node = hostReport({
    nodeId: identity.id,
    address: config.advertise,
    labels: config.labels,
    machineId: machineIdOf(config.machineId, identity.uuid),
    snapshotters: [],
    root: config.root,
    searchPath,
  });
  return retrying(async () => {
    const socket = await connectPinned(server, fingerprint, 'runtime');
    return unaryCall(socket, JoinService.method.join, { token, certificateRequest, node });
  });
}

async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await attempt();
    } catch (error) {
      if (count === RETRY.attempts || !isKind(error, 'Unavailable')) throw error;
      process.stderr.write(`longshore agent join: ${messageOf(error)}; trying again\n`);
      await delay(retryDelayMs(RETRY, count));
    }
  }
}

/** One key until a join has succeeded: when its answer was lost, the same token is good for the same key only. */
async function pendingKey(root: string): Promise<string> {
  const path = pendingKeyPath(root);
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const pem = await newPrivateKey();
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, pem, { mode: 0o600, flag: 'wx', flush: true });
  renameSync(`${path}.new`, path);
  return pem;
}

function pendingKeyPath(root: string): string {
  return join(root, 'joining.key');
}

async function readToken(path: string | undefined): Promise<string> {
  const token = (path === undefined ? await text(process.stdin) : readFileSync(path, 'utf8')).trim();
  if (token === '') throw invalidArgument('join token: is empty');
  return token;
}

function parseOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        help: { type: 'boolean', short: 'h' },
        server: { type: 'string' },
        'token-file': { type: 'string' },
        again: { type: 'boolean' },
        config: { type: 'string', short: 'c' },
      },
    });
    return values;
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
}
