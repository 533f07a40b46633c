import { buffer } from 'node:stream/consumers';
import { publish } from './publish.ts';

try {
  await publish(process.argv.slice(2), await buffer(process.stdin));
} catch (error) {
  process.stderr.write(`publish: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
