import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** As `Version` answers it. */
export const VERSION = { version: String(manifest.version), revision: 'longshore' };
