import type { Ctr } from './ctr.ts';
import { waitUntil } from './wait-until.ts';

export interface EventListener extends Disposable {
  /** Lines that `ctr events` has printed so far. */
  lines(): string[];
}

/** `ctr events` in the background; resolves once it hears what happens. `filters` in containerd's language. */
export async function listenToEvents(ctr: Ctr, ...filters: string[]): Promise<EventListener> {
  // Its own probe must pass: several filters mean any of them.
  const listener = ctr.start([
    'events',
    ...(filters.length > 0 ? [...filters, 'topic=="/namespaces/update"'] : []),
  ]);
  let printed = '';
  listener.stdout!.on('data', (chunk) => {
    printed += chunk;
  });
  const isListening = await waitUntil(async () => {
    await ctr.ok(['namespaces', 'label', 'default', `probe=${Date.now()}`]);
    return printed.includes('/namespaces/update');
  });
  if (!isListening) throw new Error('ctr events does not hear of a change');
  return {
    lines: () => printed.split('\n').filter((line) => line !== '' && !line.includes('/namespaces/')),
    [Symbol.dispose]: () => void listener.kill(),
  };
}
