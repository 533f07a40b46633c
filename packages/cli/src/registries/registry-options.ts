import { readFile } from 'node:fs/promises';
import { messageOf } from '@longshore/errors';
import type { Command } from 'commander';
import { UsageError } from '../usage-error.ts';

export interface RegistryFlags {
  plainHttp?: boolean;
  tlsCa?: string;
}

/** For a command that speaks to a registry: how. */
export function addRegistryOptions(command: Command): Command {
  return command
    .option('--plain-http', 'the registry speaks HTTP; on loopback it always does')
    .option('--tls-ca <file>', 'certificate authorities of the registry, in PEM');
}

/** The settings of one host; undefined when there is nothing to say of it. */
export async function registryHost({ plainHttp, tlsCa }: RegistryFlags) {
  if (!plainHttp && tlsCa === undefined) return undefined;
  return { ...(plainHttp && { plainHttp }), ...(tlsCa !== undefined && { ca: await pemOf(tlsCa) }) };
}

async function pemOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--tls-ca: ${messageOf(error)}`);
  }
}
