import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { failedPrecondition } from '@longshore/errors';
import { parseIdentifier } from '@longshore/oci';

/** In the node's root directory. */
export const IDENTITY_FILE = 'node.json';

export interface NodeIdentity {
  /** Names the node in the fleet; part of every record's scope. */
  id: string;
  /** What introspection answers: stable over restarts. */
  uuid: string;
}

/**
 * Reads who this node is from `<root>/node.json`, or decides it on the first start. Throws FailedPrecondition when
 * the configuration names another node than the disk: the disk's records belong to the name on it.
 */
export function loadIdentity(root: string, configuredId: string): NodeIdentity {
  const path = join(root, IDENTITY_FILE);
  const stored = readStored(path);
  if (stored === undefined) {
    const identity = { id: parseIdentifier(configuredId || idFromHostname()), uuid: randomUUID() };
    mkdirSync(root, { recursive: true, mode: 0o711 });
    writeWhole(path, `${JSON.stringify(identity, null, 2)}\n`);
    return identity;
  }
  if (configuredId !== '' && configuredId !== stored.id) {
    throw failedPrecondition(
      `node id ${JSON.stringify(configuredId)}: ${path} says that this disk belongs to node ${JSON.stringify(stored.id)}`,
    );
  }
  return stored;
}

/** All of it or nothing: an agent with half an identity could not start again. */
function writeWhole(path: string, text: string): void {
  const draft = `${path}.new`;
  writeFileSync(draft, text, { flush: true });
  renameSync(draft, path);
}

function readStored(path: string): NodeIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as NodeIdentity;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function idFromHostname(): string {
  const words = hostname().match(/[A-Za-z0-9]+/g) ?? ['node'];
  return words.join('-').slice(0, 63).replace(/-$/, '');
}
