import { JsonTypeUrl } from '@longshore/proto/json-types';
import { SIGTERM, untilCaught } from '../../harness/until-caught.ts';
import { waitUntil } from '../../harness/wait-until.ts';
import type { Cases } from './side.ts';

const SLEEP = ['sleep', '1000'];
const id = 'c';
const containerId = id;
const resources = {
  typeUrl: JsonTypeUrl.LinuxResources,
  value: Buffer.from('{"memory":{"limit":67108864}}'),
};

export const TASK_CASES: Cases = {
  'a created task': async (side) => {
    const { tasks, options } = side;
    await side.define(id, SLEEP);
    await side.say('create', tasks.create(side.createRequest(id), options));
    await side.say('create again', tasks.create(side.createRequest(id), options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.say('list', tasks.list({}, options));
    await side.say('pause', tasks.pause({ containerId }, options));
    await side.say('resume', tasks.resume({ containerId }, options));
    await side.say('update', tasks.update({ containerId, resources }, options));
    await side.say('resize', tasks.resizePty({ containerId, width: 80, height: 24 }, options));
    await side.say('close input', tasks.closeIO({ containerId, stdin: true }, options));
    await side.say('pids', tasks.listPids({ containerId }, options));
    await side.say('metrics', tasks.metrics({}, options));
    await side.say('exec', side.exec(id, 'e', SLEEP));
    await side.say('exec start', tasks.start({ containerId, execId: 'e' }, options));
    await side.say('exec delete', tasks.deleteProcess({ containerId, execId: 'e' }, options));
    await side.say(
      'kill by a signal that is handled by nobody yet',
      tasks.kill({ containerId, signal: 9 }, options),
    );
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('get killed', tasks.get({ containerId }, options));
    await side.say('start killed', tasks.start({ containerId }, options));
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say('get deleted', tasks.get({ containerId }, options));
  },

  'a created task, deleted': async (side) => {
    const { tasks, options } = side;
    await side.define(id, SLEEP);
    await side.create(id);
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say('delete again', tasks.delete({ containerId }, options));
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('list', tasks.list({}, options));
    await side.say('create again', tasks.create(side.createRequest(id), options));
    await side.say('delete the second', tasks.delete({ containerId }, options));
  },

  'a running task': async (side) => {
    const { tasks, options } = side;
    await side.define(id, SLEEP);
    await side.create(id);
    await side.say('start', tasks.start({ containerId }, options));
    await side.say('start again', tasks.start({ containerId }, options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say('resume', tasks.resume({ containerId }, options));
    await side.say('update', tasks.update({ containerId, resources }, options));
    const odd = { typeUrl: JsonTypeUrl.LinuxResources, value: Buffer.from('{') };
    await side.say('update by what is no JSON', tasks.update({ containerId, resources: odd }, options));
    await side.say('resize', tasks.resizePty({ containerId, width: 80, height: 24 }, options));
    await side.say('close input', tasks.closeIO({ containerId, stdin: true }, options));
    await side.say('signal 0', tasks.kill({ containerId, signal: 0 }, options));
    await side.say('signal 999', tasks.kill({ containerId, signal: 999 }, options));
    await side.say('pids', tasks.listPids({ containerId }, options));
    const waits = [1, 2, 3].map(() => tasks.wait({ containerId }, options));
    await side.say('kill all', tasks.kill({ containerId, signal: 9, all: true }, options));
    await side.say('wait, three times', Promise.all(waits));
    await side.say('delete ended', tasks.delete({ containerId }, options));
  },

  'a paused task': async (side) => {
    const { tasks, options } = side;
    await side.run(id, SLEEP);
    await side.exec(id, 'before', SLEEP);
    await side.say('pause', tasks.pause({ containerId }, options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.say('pause again', tasks.pause({ containerId }, options));
    await side.say('start', tasks.start({ containerId }, options));
    await side.say('exec', side.exec(id, 'e', SLEEP));
    await side.say('exec start', tasks.start({ containerId, execId: 'before' }, options));
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say('update', tasks.update({ containerId, resources }, options));
    await side.say('pids', tasks.listPids({ containerId }, options));
    await side.say('metrics', tasks.metrics({}, options));
    await side.say('resume', tasks.resume({ containerId }, options));
    await side.say('resume again', tasks.resume({ containerId }, options));
    await side.say('get resumed', tasks.get({ containerId }, options));
    await side.say('pause once more', tasks.pause({ containerId }, options));
    await side.say('kill', tasks.kill({ containerId, signal: 9 }, options));
    // A frozen process may not end before.
    await tasks.resume({ containerId }, options).catch(() => undefined);
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('resume killed', tasks.resume({ containerId }, options));
    await side.say('delete ended', tasks.delete({ containerId }, options));
  },

  'a stopped task': async (side) => {
    const { tasks, options } = side;
    await untilCaught(
      SIGTERM,
      await side.run(id, ['sh', '-c', 'trap "exit 7" TERM; while :; do sleep 0.01; done']),
    );
    await side.exec(id, 'before', SLEEP);
    await tasks.kill({ containerId, signal: SIGTERM }, options);
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('wait again', tasks.wait({ containerId }, options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.say('list', tasks.list({}, options));
    await side.say('start', tasks.start({ containerId }, options));
    await side.say('pause', tasks.pause({ containerId }, options));
    await side.say('resume', tasks.resume({ containerId }, options));
    await side.say('update', tasks.update({ containerId, resources }, options));
    await side.say('resize', tasks.resizePty({ containerId, width: 80, height: 24 }, options));
    await side.say('close input', tasks.closeIO({ containerId, stdin: true }, options));
    await side.say('pids', tasks.listPids({ containerId }, options));
    await side.say('metrics', tasks.metrics({}, options));
    await side.say('exec', side.exec(id, 'e', SLEEP));
    await side.say('exec start', tasks.start({ containerId, execId: 'before' }, options));
    await side.say('exec get', tasks.get({ containerId, execId: 'before' }, options));
    await side.say('kill', tasks.kill({ containerId, signal: 9 }, options));
    await side.say('kill all', tasks.kill({ containerId, signal: 9, all: true }, options));
    await side.say('create', tasks.create(side.createRequest(id), options));
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say('delete again', tasks.delete({ containerId }, options));
    await side.say('wait deleted', tasks.wait({ containerId }, options));
    await side.say('kill deleted', tasks.kill({ containerId, signal: 9 }, options));
    await side.say('exec deleted', side.exec(id, 'e', SLEEP));
  },

  execs: async (side) => {
    const { tasks, options } = side;
    const execId = 'e';
    await side.run(id, SLEEP);
    await side.say('add', side.exec(id, execId, SLEEP));
    await side.say('add again', side.exec(id, execId, SLEEP));
    await side.say('get unstarted', tasks.get({ containerId, execId }, options));
    await side.say('kill unstarted', tasks.kill({ containerId, execId, signal: 9 }, options));
    await side.say(
      'resize unstarted',
      tasks.resizePty({ containerId, execId, width: 9, height: 9 }, options),
    );
    await side.say('close input of unstarted', tasks.closeIO({ containerId, execId, stdin: true }, options));
    await side.say('start', tasks.start({ containerId, execId }, options));
    await side.say('start again', tasks.start({ containerId, execId }, options));
    await side.say('add running', side.exec(id, execId, SLEEP));
    await side.say('get', tasks.get({ containerId, execId }, options));
    await side.say('list', tasks.list({}, options));
    await side.say('pids', tasks.listPids({ containerId }, options));
    await side.say('delete running', tasks.deleteProcess({ containerId, execId }, options));
    await side.say('close input', tasks.closeIO({ containerId, execId, stdin: true }, options));
    await side.say('close input, not', tasks.closeIO({ containerId, execId }, options));
    await side.say('resize', tasks.resizePty({ containerId, execId, width: 9, height: 9 }, options));
    await side.say('kill, with all', tasks.kill({ containerId, execId, signal: 10, all: true }, options));
    await side.say('wait', tasks.wait({ containerId, execId }, options));
    await side.say('wait again', tasks.wait({ containerId, execId }, options));
    await side.say('get ended', tasks.get({ containerId, execId }, options));
    await side.say('kill ended', tasks.kill({ containerId, execId, signal: 9 }, options));
    await side.say('start ended', tasks.start({ containerId, execId }, options));
    await side.say('the task runs on', tasks.get({ containerId }, options));
    await side.say('delete ended', tasks.deleteProcess({ containerId, execId }, options));
    await side.say('delete deleted', tasks.deleteProcess({ containerId, execId }, options));
    await side.say('wait deleted', tasks.wait({ containerId, execId }, options));
    await side.say('get deleted', tasks.get({ containerId, execId }, options));
    await side.say('add anew', side.exec(id, execId, ['sh', '-c', 'exit 9']));
    await side.say('start anew', tasks.start({ containerId, execId }, options));
    await side.say('wait anew', tasks.wait({ containerId, execId }, options));
    await side.say('delete anew', tasks.deleteProcess({ containerId, execId }, options));

    await side.say('add one never started', side.exec(id, 'never', SLEEP));
    await side.say('delete unstarted', tasks.deleteProcess({ containerId, execId: 'never' }, options));
    await side.end(id);
    await side.say('delete the task', tasks.delete({ containerId }, options));
  },

  'execs that are refused': async (side) => {
    const { tasks, options } = side;
    await side.run(id, SLEEP);
    const unknown = { containerId, execId: 'none' };
    await side.say('start unknown', tasks.start(unknown, options));
    await side.say('get unknown', tasks.get(unknown, options));
    await side.say('kill unknown', tasks.kill({ ...unknown, signal: 9 }, options));
    await side.say('wait for unknown', tasks.wait(unknown, options));
    await side.say('delete unknown', tasks.deleteProcess(unknown, options));
    await side.say('resize unknown', tasks.resizePty(unknown, options));
    await side.say('close input of unknown', tasks.closeIO({ ...unknown, stdin: true }, options));
    await side.say('close input of unknown, not', tasks.closeIO(unknown, options));
    await side.say('delete without id', tasks.deleteProcess({ containerId }, options));
    for (const execId of ['', 'no/slash', '..', 'with space', 'x'.repeat(77), id]) {
      await side.say(`add ${JSON.stringify(execId)}`, side.exec(id, execId, SLEEP));
    }
    const bad = (value: string) => ({ typeUrl: JsonTypeUrl.Process, value: Buffer.from(value) });
    for (const [execId, value] of [
      ['cut', '{'],
      ['list', '[]'],
      ['typed', '{"args":1}'],
    ] as const) {
      await side.say(`add ${execId}`, tasks.exec({ containerId, execId, spec: bad(value) }, options));
    }
    for (const [execId, args] of [
      ['missing', '{"args":["/no/such"],"cwd":"/"}'],
      ['without-args', '{"args":[],"cwd":"/"}'],
      ['without-cwd', '{"args":["/bin/busybox","true"]}'],
      ['elsewhere', '{"args":["/bin/busybox","true"],"cwd":"/no/such"}'],
    ] as const) {
      await side.say(`add ${execId}`, tasks.exec({ containerId, execId, spec: bad(args) }, options));
      await side.say(`start ${execId}`, tasks.start({ containerId, execId }, options));
      await side.say(`get ${execId}`, tasks.get({ containerId, execId }, options));
      await side.say(`delete ${execId}`, tasks.deleteProcess({ containerId, execId }, options));
    }
    await side.end(id);
    await side.say('delete the task', tasks.delete({ containerId }, options));
  },

  terminals: async (side) => {
    const { tasks, options } = side;
    const spec = side.spec(id, SLEEP);
    const process = { ...spec.process, terminal: true };
    await side.define(id, SLEEP, { spec: { process } });
    await side.say(
      'create',
      tasks.create(side.createRequest(id, { terminal: true, stdout: '/dev/null' }), options),
    );
    await side.say('start', tasks.start({ containerId }, options));
    await side.say('resize', tasks.resizePty({ containerId, width: 80, height: 24 }, options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.end(id);
    await side.say('resize ended', tasks.resizePty({ containerId, width: 80, height: 24 }, options));
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say(
      'create with a terminal that its process does not ask for',
      side.define('d', SLEEP).then(() => side.create('d', { terminal: true, stdout: '/dev/null' })),
    );
  },

  'what is not there': async (side) => {
    const { tasks, options } = side;
    await side.define('bare', SLEEP);
    for (const containerId of ['bare', 'none', '', 'no/slash', '..', 'x'.repeat(77)]) {
      const name = JSON.stringify(containerId).slice(0, 20);
      if (containerId !== 'bare')
        await side.say(`create ${name}`, tasks.create(side.createRequest(containerId), options));
      await side.say(`start ${name}`, tasks.start({ containerId }, options));
      await side.say(`get ${name}`, tasks.get({ containerId }, options));
      await side.say(`kill ${name}`, tasks.kill({ containerId, signal: 9 }, options));
      await side.say(`wait ${name}`, tasks.wait({ containerId }, options));
      await side.say(`delete ${name}`, tasks.delete({ containerId }, options));
      await side.say(`delete exec of ${name}`, tasks.deleteProcess({ containerId, execId: 'e' }, options));
      await side.say(`exec ${name}`, side.exec(containerId, 'e', SLEEP));
      await side.say(`exec without id in ${name}`, side.exec(containerId, '', SLEEP));
      await side.say(`pause ${name}`, tasks.pause({ containerId }, options));
      await side.say(`resume ${name}`, tasks.resume({ containerId }, options));
      await side.say(`pids ${name}`, tasks.listPids({ containerId }, options));
      await side.say(`update ${name}`, tasks.update({ containerId, resources }, options));
      await side.say(`resize ${name}`, tasks.resizePty({ containerId }, options));
      await side.say(`close input of ${name}`, tasks.closeIO({ containerId, stdin: true }, options));
    }
    await side.say('list', tasks.list({}, options));
    await side.say('metrics', tasks.metrics({}, options));
    for (const namespace of ['', 'no such/thing']) {
      const other = side.as(namespace);
      await side.say(`list in ${JSON.stringify(namespace)}`, tasks.list({}, other.options));
      await side.say(`get in ${JSON.stringify(namespace)}`, tasks.get({ containerId }, other.options));
      await side.say(`metrics in ${JSON.stringify(namespace)}`, tasks.metrics({}, other.options));
    }
  },

  'another namespace': async (side) => {
    const { tasks, options } = side;
    const other = side.as(`${side.namespace}-b`);
    await side.run(id, SLEEP);
    await side.say('get', tasks.get({ containerId }, other.options));
    await side.say('list', tasks.list({}, other.options));
    await side.say('metrics', tasks.metrics({}, other.options));
    await side.say(
      'the same id there',
      other.run(id, ['sh', '-c', 'exit 3']).then(() => 'runs'),
    );
    await side.say('wait there', tasks.wait({ containerId }, other.options));
    await side.say('delete there', tasks.delete({ containerId }, other.options));
    await side.say('get here', tasks.get({ containerId }, options));
    await other.clear();
  },

  'metrics by filter': async (side) => {
    const { tasks, options } = side;
    for (const one of ['a', 'b']) await side.run(one, SLEEP);
    const filters = [
      [],
      [''],
      ['id==a'],
      ['id==a', 'id==b'],
      ['id!=a'],
      ['id~=^[ab]$'],
      ['id~="("'],
      [`namespace==${side.namespace}`],
      ['namespace==other'],
      ['id==a,namespace==other'],
      ['labels.x==y'],
      ['status==running'],
      ['id=='],
      ['='],
      ['id==a', '='],
    ];
    for (const some of filters) {
      const answer = tasks.metrics({ filters: some }, options);
      const sorted = answer.then(({ metrics }) => metrics.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
      await side.say(JSON.stringify(some), sorted);
    }
  },

  'creates that are refused': async (side) => {
    const { tasks, options } = side;
    const attempt = async (one: string, more: Parameters<typeof side.define>[2], request: object = {}) => {
      await side.define(one, ['true'], more);
      await side.say(one, tasks.create({ ...side.createRequest(one), ...request }, options));
      await side.say(`${one}: get`, tasks.get({ containerId: one }, options));
    };
    const bare = side.spec(id, ['true']);
    const spec = (value: string, typeUrl: string = JsonTypeUrl.Spec) => ({
      record: { spec: { typeUrl, value: Buffer.from(value) } },
    });
    await attempt('no-command', { spec: { process: { ...bare.process, args: ['/no/such'] } } });
    await attempt('not-executable', { spec: { process: { ...bare.process, args: ['/bin'] } } });
    await attempt('no-args', { spec: { process: { ...bare.process, args: [] } } });
    await attempt('no-cwd', { spec: { process: { ...bare.process, cwd: '' } } });
    await attempt('relative-cwd', { spec: { process: { ...bare.process, cwd: 'x' } } });
    await attempt('no-process', { spec: { process: undefined } });
    await attempt('no-root', { spec: { root: undefined } });
    await attempt('no-source', {
      spec: { mounts: [{ destination: '/x', type: 'bind', source: '/no/such', options: ['bind'] }] },
    });
    await attempt('nulls', spec('null'));
    await attempt('cut', spec('{'));
    await attempt('empty', spec(''));
    await attempt('listed', spec('[]'));
    await attempt('no-runtime', { record: { runtime: { name: 'io.containerd.nothere.v9' } } });
    await attempt('odd-runtime', { record: { runtime: { name: 'runc' } } });
    await attempt('no-file', { record: { runtime: { name: '/no/such/shim' } } });
    await attempt('no-runtime-path', {}, { runtimePath: '/no/such/shim' });
    const odd = { typeUrl: 'acme.Options', value: Buffer.from('x') };
    await attempt('odd-options', {}, { options: odd });
    await attempt(
      'odd-record-options',
      {
        record: { runtime: { name: 'io.containerd.runc.v2', options: odd } },
      },
      { options: undefined },
    );
    await attempt('odd-mount', {}, { rootfs: [{ type: 'nonsense', source: 'none', options: [] }] });
    await attempt(
      'no-mount-source',
      {},
      { rootfs: [{ type: 'bind', source: '/no/such', options: ['rbind'] }] },
    );
  },

  'a process that ends at once': async (side) => {
    const { tasks, options } = side;
    await side.define(id, ['sh', '-c', 'exit 4']);
    await side.create(id);
    const waiting = tasks.wait({ containerId }, options);
    await side.say('start', tasks.start({ containerId }, options));
    await side.say('wait', waiting);
    await side.say('delete', tasks.delete({ containerId }, options));
    await side.say(
      'run again',
      side.create(id).then(() => tasks.start({ containerId }, options)),
    );
    await side.say('wait again', tasks.wait({ containerId }, options));
    await side.say('delete again', tasks.delete({ containerId }, options));
  },

  'a pid namespace that is shared': async (side) => {
    const { tasks, options } = side;
    const { linux } = side.spec(id, []);
    const namespaces = linux.namespaces.filter(({ type }) => type !== 'pid');
    const script = 'sleep 1000 & trap "exit 6" TERM; while :; do sleep 0.01; done';
    await untilCaught(
      SIGTERM,
      await side.run(id, ['sh', '-c', script], { spec: { linux: { ...linux, namespaces } } }),
    );
    await side.exec(id, 'e', SLEEP);
    await tasks.start({ containerId, execId: 'e' }, options);
    const execEnd = tasks.wait({ containerId, execId: 'e' }, options);
    await side.say('kill', tasks.kill({ containerId, signal: SIGTERM }, options));
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('wait for the exec', execEnd);
    const hasNone = async () => (await tasks.listPids({ containerId }, options)).processes.length === 0;
    await waitUntil(hasNone);
    await side.say('pids', tasks.listPids({ containerId }, options));
    await side.say('delete the exec', tasks.deleteProcess({ containerId, execId: 'e' }, options));
    await side.say('delete', tasks.delete({ containerId }, options));
  },

  'the record of a task that runs': async (side) => {
    const { tasks, containers, options } = side;
    await side.run(id, SLEEP);
    await side.say('delete', containers.delete({ id }, options));
    await side.say('list', tasks.list({}, options));
    await side.say('get', tasks.get({ containerId }, options));
    await side.say('kill', tasks.kill({ containerId, signal: 9 }, options));
    await side.say('record again', side.define(id, SLEEP));
    await tasks.kill({ containerId, signal: 9 }, options).catch(() => undefined);
    await side.say('wait', tasks.wait({ containerId }, options));
    await side.say('delete the task', tasks.delete({ containerId }, options));
  },
};
