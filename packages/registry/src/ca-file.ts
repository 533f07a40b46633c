import { readFileSync } from 'node:fs';
import { failedPrecondition, messageOf } from '@longshore/errors';

/** The PEM file's text; empty without a path. Throws FailedPrecondition for a file that cannot be read. */
export function readCaFile(path: string): string {
  if (path === '') return '';
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw failedPrecondition(`certificate authorities of registries: ${messageOf(error)}`, { cause: error });
  }
}
