import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (
  options: { type: 'minor' } | { type: 'major'; execution: 'sync'; flavor: 'last-resort' },
) => void;

let collect: Collect | undefined;

/** Of everything, and gives what is free back to the system: some 30 ms. */
export function collectAll(): void {
  exposed()({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** Of young objects: a millisecond. */
export function collectYoung(): void {
  exposed()({ type: 'minor' });
}

/** V8's own `gc`, without the flag on every command line that starts a service. */
function exposed(): Collect {
  if (collect) return collect;
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
