import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** The version of this software, as its package says. */
export const SOFTWARE_VERSION: string = manifest.version;
