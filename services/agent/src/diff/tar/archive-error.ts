import { invalidArgument, type LongshoreError } from '@longshore/errors';

/** What is wrong with the archive itself, whoever unpacks it. */
export function archiveError(problem: string): LongshoreError {
  return invalidArgument(`layer archive: ${problem}`);
}
