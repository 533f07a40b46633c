#!/usr/bin/env node
// Plain JavaScript that any Node since 14 reads, so that one which is too old for the rest can say so.
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const NEEDED_MAJOR = 24;

if (Number.parseInt(process.versions.node, 10) < NEEDED_MAJOR) {
  process.stderr.write(
    `longshore: needs Node ${NEEDED_MAJOR} or newer, and this is ${process.version} (${process.execPath})\n` +
      'Hint: "npm start" in a checkout gets one, below /var/cache/longshore/node; put its directory first on PATH.\n',
  );
  process.exit(1);
}

// Stripping types and compiling take most of a start; a cache that others may write to would run their code as us.
const { enableCompileCache } = createRequire(import.meta.url)('node:module');
const caches = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
enableCompileCache(process.env.NODE_COMPILE_CACHE || join(caches, 'longshore', 'compile'));

await import('../src/main.ts');
