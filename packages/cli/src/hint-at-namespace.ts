import { isKind } from '@longshore/errors';
import type { Calls } from './calls.ts';

/** Who may not ask about all namespaces may be allowed to ask about one: tells how, on an error that came of the first. */
export function hintAtNamespace(error: unknown, { namespace }: Pick<Calls, 'namespace'>): void {
  if (!isKind(error, 'PermissionDenied')) return;
  Object.assign(error as Error, {
    hint: `It asks about all namespaces; of one it tells with -n, e.g. -n ${namespace}.`,
  });
}
