/**
 * To be loaded before a service, as `--import …/kill-at.ts?<step>`: the process ends by SIGKILL at that step of what it does
 * next. The steps are seen from outside, by what the service asks of the disk and of the database.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import pg from 'pg';

/** Of a session that writes three bytes, asks for their state, and commits nine. */
const STEPS = {
  'before the ingest is recorded': () => onQuery('FROM open_ingest(', 'before'),
  'when the ingest is recorded': () => onQuery('FROM open_ingest(', 'after'),
  'when its file is made': () => onFs('open', 'after', ([path, flags]) => isIngest(path) && flags === 'wx+'),
  'when bytes were accepted': () => onFile('write', 'after'),
  'before accepted bytes are durable': () => onFile('datasync', 'before', ACCEPTED_BYTES),
  'when accepted bytes are durable': () => onFile('datasync', 'after', ACCEPTED_BYTES),
  'when that is recorded': () => onQuery('UPDATE ingests AS i SET durable_bytes', 'after'),
  'before all bytes are durable': () => onFile('datasync', 'before', ALL_BYTES),
  'when all bytes are durable': () => onFile('datasync', 'after', ALL_BYTES),
  'when the blob has its name': () => onFs('link', 'after', ([path]) => isIngest(path)),
  'when its name is durable': () => onQuery('FROM commit_ingest(', 'before'),
  'when the commit is recorded': () => onQuery('FROM commit_ingest(', 'after'),
  "before the ingest's directory goes": () => onFs('rmdir', 'before', ([path]) => isIngest(path)),
};

export type KillStep = keyof typeof STEPS;
/** In the order in which a session comes to them. */
export const KILL_STEPS = Object.keys(STEPS) as KillStep[];

const ACCEPTED_BYTES = 3;
const ALL_BYTES = 9;

type When = 'before' | 'after';
// biome-ignore lint/suspicious/noExplicitAny: functions of any kind are wrapped.
type Any = any;

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

function onFs(name: 'open' | 'link' | 'rmdir', when: When, isMeant: (args: Any[]) => boolean): void {
  const own: Any = fs[name];
  Object.assign(fs, {
    async [name](...args: Any[]) {
      if (!isMeant(args)) return own(...args);
      if (when === 'before') die();
      const result = await own(...args);
      die();
      return result;
    },
  });
  syncBuiltinESMExports();
}

async function onFile(name: 'write' | 'datasync', when: When, sizeBytes?: number): Promise<void> {
  await using handle = await fs.open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(handle);
  const own: Any = prototype[name];
  prototype[name] = async function (this: FileHandle, ...args: Any[]) {
    const isMeant = sizeBytes === undefined || (await this.stat()).size === sizeBytes;
    if (isMeant && when === 'before') die();
    const result = await own.apply(this, args);
    if (isMeant) die();
    return result;
  };
}

function onQuery(part: string, when: When): void {
  const own: Any = pg.Client.prototype.query;
  const query = function (this: pg.Client, config: Any, values: Any, callback: Any) {
    const text = typeof config === 'string' ? config : config.text;
    if (typeof text !== 'string' || !text.includes(part)) return own.call(this, config, values, callback);
    if (when === 'before') die();
    return own.call(this, config, values, (error: unknown, result: unknown) => {
      die();
      callback(error, result);
    });
  };
  Object.assign(pg.Client.prototype, { query });
}

function isIngest(path: unknown): boolean {
  return String(path).includes('/ingests/');
}

const { search } = new URL(import.meta.url);
if (search) await STEPS[decodeURIComponent(search.slice(1)) as KillStep]();
