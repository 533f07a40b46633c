import { type Route, relay } from './relay.ts';

/**
 * The program of a {@link RelayProcess}: connects what is inside a network namespace with what is outside, or delays
 * what passes. Takes its routes as an argument, its delay over the IPC channel, and ends with that channel.
 */
let delayMs = 0;
process.on('message', (message: { delayMs: number }) => {
  delayMs = message.delayMs;
  process.send?.({ delayMs });
});
process.once('disconnect', () => process.exit(0));

const routes: Route[] = JSON.parse(process.argv[2] ?? '[]');
await Promise.all(routes.map((route) => relay(route, () => delayMs)));
process.send?.({ ready: true });
