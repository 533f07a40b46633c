import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { invalidArgument, messageOf } from '@longshore/errors';
import { AnyText, commonKeys, databaseKeys, loadConfig } from '@longshore/kit';
import { openPool } from '@longshore/postgres';
import { formatPeer, type NamedPeer, newKeyPair, parsePeer } from '@longshore/transport';
import { authorityKeys } from '../config.ts';
import { prepareDatabase, SCHEMA } from '../database.ts';
import { CertificateRepository } from '../storage/postgres/certificate-repository.ts';
import { CertificateAuthority, type IssuedCertificate } from './certificate-authority.ts';
import { Issuer } from './issuer.ts';
import { replaceFile } from './replace-file.ts';

const HELP = `longshore runtime ca: the fleet's certificate authority, for operators; no running service is needed

Usage:
  node services/runtime/src/main.ts ca init
      Makes the authority unless it is there, and prints its fingerprint.

  node services/runtime/src/main.ts ca issue --identity IDENTITY [--identity …] --out DIRECTORY
      Makes a key and a certificate for each service or user: service/<name> or user/<name>. Writes <name>.crt, <name>.key
      (0600) and ca.crt, and prints the certificate's serial number. Running it again renews: who uses the files takes the
      new ones up without a restart. Nodes get their certificates by joining.

Environment:
  LONGSHORE_CA_DIR              directory of ca.crt and ca.key; default $LONGSHORE_ROOT/ca
  LONGSHORE_ROOT                default /var/lib/longshore
  LONGSHORE_CERTIFICATE_TTL_MS  how long the certificate is good for; default a year
  DATABASE_URL                  Postgres. With it the certificate is recorded, and can be revoked by its identity; without
                                it only by its serial number.
`;

const keys = {
  root: commonKeys('runtime').root,
  ...authorityKeys,
  databaseUrl: { ...databaseKeys().databaseUrl, schema: AnyText, default: '' },
};

/** Nodes join instead. */
type Issuable = Exclude<NamedPeer, { kind: 'node' }>;

interface IssueConfig {
  caDir: string;
  databaseUrl: string;
  nodeCertificateTtlMs: number;
  certificateTtlMs: number;
}

/** `ca …`: answers on standard output; sets the exit code. */
export async function runAuthorityCommand(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  try {
    process.stdout.write(await answer(args, env));
  } catch (error) {
    process.stderr.write(`longshore runtime ca: ${messageOf(error)}\nTry ca --help.\n`);
    process.exitCode = 2;
  }
}

async function answer(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { values, positionals } = parseCommand(args);
  const [verb] = positionals;
  if (values.help || verb === undefined) return HELP;
  const config = loadConfig(keys, env, undefined);
  if (verb === 'init') {
    const { fingerprint } = await CertificateAuthority.open(config.caDir);
    return `certificate authority in ${config.caDir}: SHA-256 ${fingerprint}\n`;
  }
  if (verb !== 'issue') throw invalidArgument(`command ${JSON.stringify(verb)}: is not known`);
  const { identity: names = [], out } = values;
  if (names.length === 0 || !out) throw invalidArgument('issue: needs --identity and --out');
  const lines: string[] = [];
  for (const identity of names.map(parseIssuable)) lines.push(await issueInto(out, identity, config));
  return lines.join('');
}

function parseIssuable(name: string): Issuable {
  const identity = parsePeer(name);
  if (identity.kind === 'node') throw invalidArgument(`identity ${JSON.stringify(name)}: nodes join`);
  return identity;
}

async function issueInto(directory: string, identity: Issuable, config: IssueConfig): Promise<string> {
  const { privateKey, certificateRequest } = await newKeyPair();
  const { issued, authorities } = await issue(config, identity, certificateRequest);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // The key first: who reloads takes up nothing before the certificate fits it.
  replaceFile(join(directory, `${identity.name}.key`), privateKey, 0o600);
  replaceFile(join(directory, 'ca.crt'), authorities, 0o644);
  replaceFile(join(directory, `${identity.name}.crt`), issued.chain, 0o644);
  return `${formatPeer(identity)}: serial ${issued.serial}, good until ${issued.notAfter.toISOString()}\n`;
}

async function issue(
  config: IssueConfig,
  identity: NamedPeer,
  certificateRequest: string,
): Promise<{ issued: IssuedCertificate; authorities: string }> {
  if (config.databaseUrl === '') {
    const authority = await CertificateAuthority.open(config.caDir);
    const publicKey = await CertificateAuthority.publicKeyOf(certificateRequest);
    const issued = await authority.issue(identity, publicKey, new Date(), config.certificateTtlMs);
    return { issued, authorities: authority.authorities };
  }
  await prepareDatabase(config.databaseUrl);
  const pool = openPool({ url: config.databaseUrl, schema: SCHEMA, size: 2 });
  try {
    const issuer = await Issuer.open(config.caDir, new CertificateRepository(pool), config);
    const issued = await issuer.issue(identity, certificateRequest);
    return { issued, authorities: issuer.authority.authorities };
  } finally {
    await pool.end();
  }
}

function parseCommand(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        identity: { type: 'string', multiple: true },
        out: { type: 'string' },
      },
    });
  } catch (error) {
    throw invalidArgument(messageOf(error), { cause: error });
  }
}
