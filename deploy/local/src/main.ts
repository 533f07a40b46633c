import { isKind, messageOf } from '@longshore/errors';
import { parseStartOptions, START_HELP } from '../bootstrap/start-options.mjs';
import { start } from './start.ts';

/** The program behind `npm start`; `bootstrap.mjs` has seen to everything that it needs. */
async function main(): Promise<number> {
  const options = parseStartOptions(process.argv.slice(2), process.env);
  const say = (line: string) => void process.stdout.write(`${line}\n`);
  if (options.help) {
    say(START_HELP);
    return 0;
  }
  try {
    return await start(options, { env: process.env, stop: stopSignal(), say });
  } catch (error) {
    process.stderr.write(`longshore: ${messageOf(error)}\n`);
    if (isKind(error, 'Unknown') && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
  return stopping.signal;
}

// Whoever read our output may be gone, as npm is when it was killed: that must not keep us from ending in order.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main();
