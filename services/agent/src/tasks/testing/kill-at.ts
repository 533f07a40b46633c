/**
 * To be loaded before a process that manages tasks, as `--import …/kill-at.ts?<step>`: the process ends by SIGKILL at that
 * step of what it does next. The steps are seen from outside, by what the manager asks of the disk, of shims, and of its
 * databases.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { EventSpool } from '../../spool/event-spool.ts';
import { ShimClient } from '../shim-client.ts';
import { ShimDialects } from '../shim-dialect.ts';
import { TaskJournal } from '../task-journal.ts';

/** Of a task that is made, started, runs an exec to its end, is killed and deleted. */
const STEPS = {
  'before the bundle is known': () => onFs('writeFileSync', 'before', ([path]) => ends(path, 'incarnation')),
  'when the bundle is made': () => onFs('writeFileSync', 'after', ([path]) => ends(path, 'incarnation')),
  'when the task is in the journal': () => onMethod(TaskJournal, 'begin', 'after', isInit),
  'when its shim is being started': onShimStart,
  'when its shim has started': () => onFs('renameSync', 'before', ([path]) => ends(path, 'bootstrap.json')),
  'when its shim is known': () => onFs('renameSync', 'after', ([path]) => ends(path, 'bootstrap.json')),
  'when the create is sent': () => onCall('create', 'sent'),
  'when the create is answered': () => onCall('create', 'answered'),
  'before the create is reported': () => onEvent('/tasks/create', 'before'),
  'when the start is in the journal': () => onMethod(TaskJournal, 'update', 'after', isStartRequested),
  'when the start is sent': () => onCall('start', 'sent'),
  'when the start is answered': () => onCall('start', 'answered'),
  'when the start is reported': () => onEvent('/tasks/start', 'after'),
  'when the exec is in the journal': () => onMethod(TaskJournal, 'begin', 'after', (args) => !isInit(args)),
  'when the exec is sent': () => onCall('exec', 'sent'),
  'when the exec is answered': () => onCall('exec', 'answered'),
  "when the exec's start is sent": () => onCall('start', 'sent', isOfExec),
  "when the exec's start is answered": () => onCall('start', 'answered', isOfExec),
  "before the exec's exit is reported": () => onEvent('/tasks/exit', 'before'),
  "when the exec's exit is reported": () => onEvent('/tasks/exit', 'after'),
  "when the exec's delete is sent": () => onCall('delete', 'sent', isOfExec),
  "when the exec's delete is answered": () => onCall('delete', 'answered', isOfExec),
  'when the kill is sent': () => onCall('kill', 'sent'),
  'when the wait is answered': () => onCall('wait', 'answered', (request) => !isOfExec(request)),
  'when the delete is sent': () => onCall('delete', 'sent', (request) => !isOfExec(request)),
  'when the delete is answered': () => onCall('delete', 'answered', (request) => !isOfExec(request)),
  'before the delete is reported': () => onEvent('/tasks/delete', 'before'),
  'when the delete is reported': () => onEvent('/tasks/delete', 'after'),
  'when its shim is to end': () => onCall('shutdown', 'sent'),
  'before the bundle goes': () => onFs('renameSync', 'before', ([path]) => ends(path, '/web')),
  'when the bundle has gone': () => onMethod(TaskJournal, 'end', 'before'),
};

export type KillStep = keyof typeof STEPS;
/** In the order in which a task comes to them. */
export const KILL_STEPS = Object.keys(STEPS) as KillStep[];

type When = 'before' | 'after';
// biome-ignore lint/suspicious/noExplicitAny: functions of any kind are wrapped.
type Any = any;
type IsMeant = (args: Any[]) => boolean;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('killed');
}

const ends = (path: unknown, end: string) => String(path).endsWith(end);
const isInit: IsMeant = ([{ execId }]) => execId === '';
const isStartRequested: IsMeant = ([, { startRequested }]) => startRequested === true;
const isOfExec = ({ execId = '' }: { execId?: string }) => execId !== '';

function dieAround(own: Any, when: When, isMeant: IsMeant): Any {
  return function (this: unknown, ...args: Any[]) {
    if (!isMeant(args)) return own.apply(this, args);
    if (when === 'before') die();
    own.apply(this, args);
    return die();
  };
}

function onFs(name: 'writeFileSync' | 'renameSync', when: When, isMeant: IsMeant): void {
  Object.assign(fs, { [name]: dieAround(fs[name], when, isMeant) });
  syncBuiltinESMExports();
}

/** The program runs when what starts it has answered a promise. */
function onShimStart(): void {
  const own: Any = ShimDialects.prototype.start;
  const start = function (this: ShimDialects, binary: string, env: Any, run: Any) {
    return own.call(
      this,
      binary,
      env,
      dieAround(run, 'after', () => true),
    );
  };
  Object.assign(ShimDialects.prototype, { start });
}

function onMethod(of: { prototype: Any }, name: string, when: When, isMeant: IsMeant = () => true): void {
  of.prototype[name] = dieAround(of.prototype[name], when, isMeant);
}

function onEvent(topic: string, when: When): void {
  onMethod(EventSpool, 'record', when, ([{ envelope }]) => envelope.topic === topic);
}

function onCall(
  method: string,
  when: 'sent' | 'answered',
  isMeant: (request: Any) => boolean = () => true,
): void {
  const own: Any = ShimClient.prototype.call;
  const call = async function (this: ShimClient, name: string, request: Any, options: Any) {
    const calling = own.call(this, name, request, options);
    if (name !== method || !isMeant(request)) return await calling;
    // The kernel has what was written.
    if (when === 'answered') await calling;
    return die();
  };
  Object.assign(ShimClient.prototype, { call });
}

const { search } = new URL(import.meta.url);
if (search) STEPS[decodeURIComponent(search.slice(1)) as KillStep]();
