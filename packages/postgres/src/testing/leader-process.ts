import { Leadership } from '../leadership.ts';
import { openPool } from '../pool.ts';

/** A replica as a process of its own: says by IPC when it leads and when no longer. Arguments: URL, time to live in ms. */
const [url = '', ttlMs = ''] = process.argv.slice(2);
const pool = openPool({ url, schema: 'test', size: 2 });
const leadership = new Leadership(pool, {
  holder: String(process.pid),
  ttlMs: Number(ttlMs),
  onError: () => undefined,
});
await leadership.runWhileLeading('work', async ({ number }, signal) => {
  process.send?.({ leads: Number(number) });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  process.send?.({ leads: 0 });
});
