import { messageOf } from '@longshore/errors';
import {
  AnyText,
  commonKeys,
  databaseKeys,
  key,
  parseAddresses,
  peerKey,
  Table,
  Text,
  tableOr,
  watchKeys,
  wholeFrom,
} from '@longshore/kit';
import * as v from 'valibot';

/** `content=host:1,host:2;image=host:3`, or a JSON object: by service, addresses separated by commas. */
const NodeAddresses = tableOr(
  v.pipe(
    AnyText,
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return splitAddresses(dataset.value);
      } catch (error) {
        addIssue({
          message: `want service=host:port,host:port;service=… or a JSON object (${messageOf(error)})`,
        });
        return NEVER;
      }
    }),
  ),
);

/** Throws for what is neither. */
function splitAddresses(text: string): Record<string, string> {
  const entries: [string, string][] = text.trim().startsWith('{')
    ? Object.entries(v.parse(Table, JSON.parse(text)))
    : text.split(';').flatMap((entry) => (entry.trim() === '' ? [] : [splitEntry(entry)]));
  for (const [, addresses] of entries) parseAddresses(addresses);
  return Object.fromEntries(entries);
}

function splitEntry(entry: string): [service: string, addresses: string] {
  const at = entry.indexOf('=');
  return [entry.slice(0, Math.max(0, at)).trim(), entry.slice(at + 1).trim()];
}

/** What the authority's own commands need too. */
export const authorityKeys = {
  caDir: key({
    env: 'LONGSHORE_CA_DIR',
    schema: Text,
    default: (earlier) => `${earlier.root}/ca`,
    defaultText: '$LONGSHORE_ROOT/ca',
    unit: 'path',
    meaning:
      'The certificate authority: ca.crt and ca.key, made on the first start unless they are there. All replicas need ' +
      'the same ones. ca.crt may hold several authorities, all of which are trusted; the one of ca.key issues.',
  }),
  nodeCertificateTtlMs: key({
    env: 'LONGSHORE_NODE_CERTIFICATE_TTL_MS',
    schema: wholeFrom(1000),
    default: 7 * 86_400_000,
    unit: 'ms',
    meaning: 'How long the certificate of a node is good for; agents renew it after two thirds of that.',
  }),
  certificateTtlMs: key({
    env: 'LONGSHORE_CERTIFICATE_TTL_MS',
    schema: wholeFrom(1000),
    default: 365 * 86_400_000,
    unit: 'ms',
    meaning: 'How long the certificates of services and users are good for.',
  }),
};

export const keys = {
  ...commonKeys('runtime'),
  ...databaseKeys(),
  ...watchKeys(),
  content: peerKey('content'),
  ...authorityKeys,
  joinListen: key({
    env: 'LONGSHORE_RUNTIME_JOIN_LISTEN',
    schema: AnyText,
    default: '',
    unit: 'host:port',
    meaning:
      'Where machines join: TLS that asks callers for no certificate, and serves nothing else. Empty: nobody can join here.',
  }),
  joinAddress: key({
    env: 'LONGSHORE_RUNTIME_JOIN_ADDRESS',
    schema: AnyText,
    default: '',
    defaultText: 'what LONGSHORE_RUNTIME_JOIN_LISTEN listens on',
    unit: 'host:port',
    meaning: 'Where machines reach it; told with each new token.',
  }),
  nodeAddresses: key<Record<string, string>>({
    env: 'LONGSHORE_RUNTIME_NODE_ADDRESSES',
    schema: NodeAddresses,
    default: {},
    defaultText: 'empty: nodes are configured by hand',
    meaning:
      'Where nodes reach each service, told to those that join: content=host:port,host:port;image=… or a JSON object.',
  }),
  unreachableAfterMs: key({
    env: 'LONGSHORE_NODE_UNREACHABLE_AFTER_MS',
    schema: wholeFrom(100),
    default: 30_000,
    unit: 'ms',
    meaning: 'A node that was not heard of for so long counts as unreachable.',
  }),
};
