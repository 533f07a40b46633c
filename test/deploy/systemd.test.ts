import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ManagedProcess, SERVICE_NAMES } from '@longshore/local';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPOSITORY } from '../architecture/sources.ts';
import { pushTestImages } from '../harness/images.ts';
import { type Stack, startStack } from '../harness/stack.ts';
import { readStream } from '../harness/stream-reader.ts';
import { waitUntil } from '../harness/wait-until.ts';
import { UnitFile } from './unit-file.ts';

const UNITS = join(REPOSITORY, 'deploy/systemd');
/** Where the units look for the workspace. */
const INSTALLED = '/opt/longshore';
const ANALYZE = '/usr/bin/systemd-analyze';
const READY_TIMEOUT_MS = 30_000;

const run = promisify(execFile);
const agent = new UnitFile(join(UNITS, 'longshore-agent.service'));
const control = new UnitFile(join(UNITS, 'longshore-control@.service'));
const containers = new UnitFile(join(UNITS, 'longshore-containers.service'));

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'longshore-units-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the units', () => {
  // Names of settings, paths of programs, what they depend on: what systemd itself says of them.
  it.skipIf(!existsSync(ANALYZE))('pass systemd-analyze verify', async () => {
    for (const name of readdirSync(UNITS).filter((each) => /\.(service|slice)$/.test(each))) {
      copyFileSync(join(UNITS, name), join(dir, name.replace('@.', '@content.')));
    }
    const { stderr } = await run(ANALYZE, [
      'verify',
      join(dir, 'longshore-agent.service'),
      join(dir, 'longshore-containers.service'),
      join(dir, 'longshore-control@content.service'),
      join(dir, 'longshore.slice'),
    ]);
    expect(stderr.split('\n').filter((line) => line.includes('longshore'))).toEqual([]);
  });

  it('leave containers alone: no kill beyond the process, no mount namespace, a cgroup of its own', () => {
    expect(agent.get('Service.KillMode')).toBe('process');
    expect(agent.get('Service.Delegate')).toBe('yes');
    expect(agent.get('Service.Restart')).toBe('always');
    // Source: systemd.exec(5): each of these runs the unit in a mount namespace of its own.
    const hiding =
      /^Service\.(Private(Tmp|Devices|Mounts|Users|Network)|Protect|ReadOnly|Inaccessible|Temporary|Bind|Root|Mount|DynamicUser)/;
    expect(agent.keys().filter((key) => hiding.test(key))).toEqual([]);
    expect(agent.get('Service.RuntimeDirectoryPreserve')).toBe('yes');
  });

  it('stop containers before the agent and the network, and only when the host shuts down or somebody says so', () => {
    expect(containers.get('Unit.After')?.split(' ')).toEqual([
      'longshore-agent.service',
      'network-online.target',
      'remote-fs.target',
    ]);
    const binding =
      /^Unit\.(PartOf|BindsTo|Requires|Requisite|PropagatesStopTo|StopPropagatedFrom|Conflicts)$/;
    expect([...containers.keys(), ...agent.keys()].filter((key) => binding.test(key))).toEqual([]);
    expect(containers.get('Service.RemainAfterExit')).toBe('yes');
    // The grace time, a container that must be killed, and a shim that says nothing any more.
    const graceSec = Number(/--grace (\d+)s$/.exec(containers.get('Service.ExecStop')!)?.[1]);
    expect(Number(containers.get('Service.TimeoutStopSec'))).toBeGreaterThanOrEqual(graceSec + 30);
  });

  it('give calls in flight the time that the services take for them', () => {
    for (const unit of [agent, control])
      expect(Number(unit.get('Service.TimeoutStopSec'))).toBeGreaterThan(5);
  });

  it('keep secrets out: what is secret comes from files', () => {
    for (const unit of [agent, control, containers]) {
      expect(unit.all('Service.EnvironmentFile').length).toBeGreaterThan(0);
      expect(
        Object.keys(unit.environment()).filter((key) => /DATABASE|PASSWORD|TOKEN|CREDS/.test(key)),
      ).toEqual([]);
    }
  });
});

describe('the commands of the units', () => {
  let stack: Stack;
  let busybox: string;
  let started: ManagedProcess | undefined;
  beforeAll(async () => {
    stack = await startStack({
      only: SERVICE_NAMES.filter((name) => name !== 'agent' && name !== 'gateway'),
    });
    busybox = (await pushTestImages(stack.registry)).busybox;
  });
  afterAll(async () => {
    await started?.close();
    await stack?.close();
  });

  /** As systemd runs it, from where this workspace is. */
  function start(unit: UnitFile, instance: string, settings: NodeJS.ProcessEnv): ManagedProcess {
    const here = (text: string) => text.replaceAll('%i', instance).replaceAll(INSTALLED, REPOSITORY);
    const [command = '', ...args] = here(unit.get('Service.ExecStart')!).split(/\s+/);
    return new ManagedProcess({
      name: instance,
      command,
      args,
      cwd: here(unit.get('Service.WorkingDirectory')!),
      env: { ...process.env, ...unit.environment(), ...settings },
      logPath: join(stack.state, 'logs', `${instance}.log`),
    });
  }

  it('start a service of the control plane, which ends in time on SIGTERM', async () => {
    const state = join(stack.state, 'unit');
    const snapshot = start(control, 'snapshot', {
      LONGSHORE_ROOT: stack.root,
      LONGSHORE_STATE: state,
      DATABASE_URL: stack.databaseUrl,
    });
    const ready = () => waitUntil(() => existsSync(join(state, 'snapshot.json')), READY_TIMEOUT_MS);
    await snapshot.whenReady(ready, READY_TIMEOUT_MS);
    snapshot.child.kill('SIGTERM');
    expect(await snapshot.exited).toEqual({ code: 0, signal: null });
  });

  it('start an agent whose containers outlive it, killed as KillMode=process has it', async () => {
    const settings = {
      LONGSHORE_ROOT: stack.root,
      LONGSHORE_STATE: stack.state,
      LONGSHORE_SOCKET: stack.socket,
      LONGSHORE_CGROUP_PARENT: stack.cgroupParent,
    };
    const whenReady = async (process: ManagedProcess) => {
      const answers = () =>
        waitUntil(async () => (await stack.ctr.run(['version'])).code === 0, READY_TIMEOUT_MS);
      await process.whenReady(answers, READY_TIMEOUT_MS);
    };
    for (const command of agent.all('Service.ExecStartPre')) {
      const mayFail = command.startsWith('-');
      const running = run('sh', ['-c', command.replace(/^-/, '')]);
      await (mayFail ? running.catch(() => {}) : running);
    }
    started = start(agent, 'agent', settings);
    await whenReady(started);
    await stack.ctr.ok(['image', 'pull', '--plain-http', busybox]);
    await stack.ctr.ok(['run', '-d', busybox, 'stays', 'sleep', '1000']);
    const pid = await pidOf('stays');
    await started.close();
    started = start(agent, 'agent', settings);
    await whenReady(started);
    expect(await pidOf('stays')).toBe(pid);
    await stack.ctr.removeContainers();
  });

  it('stop all containers before the host ends, with their exits recorded as they were', async () => {
    await using stream = await readStream(stack.nats);
    const traps = 'trap "exit 5" TERM; touch /ready; sleep 100000 & wait';
    await stack.ctr.ok(['run', '-d', busybox, 'polite', 'sh', '-c', traps]);
    const restarted = ['--label', 'containerd.io/restart.status=running'];
    await stack.ctr.ok(['run', '-d', ...restarted, busybox, 'stubborn', 'sleep', '1000']);
    const look = ['task', 'exec', '--exec-id', 'look', 'polite', 'ls', '/ready'];
    expect(await waitUntil(async () => (await stack.ctr.run(look)).code === 0, READY_TIMEOUT_MS)).toBe(true);
    const command = containers.get('Service.ExecStop')!.replaceAll(INSTALLED, REPOSITORY);
    const [program = '', ...args] = command.replace('30s', '300ms').split(/\s+/);
    const env = { ...process.env, LONGSHORE_STATE: stack.state, LONGSHORE_SOCKET: stack.socket };
    const { stdout } = await run(program, args, { env });
    expect(stdout).toBe('stopped 2 containers, 1 of them by SIGKILL\n');
    const statuses = () =>
      stream.seen
        .filter(({ body }) => body.topic === '/tasks/exit' && body.data.id === body.data.container_id)
        .map(({ body }) => `${body.data.id} ${body.data.exit_status}`)
        .filter((line) => !line.startsWith('stays'));
    expect(await waitUntil(() => statuses().length === 2, READY_TIMEOUT_MS)).toBe(true);
    expect(statuses().sort()).toEqual(['polite 5', 'stubborn 137']);
    // Nothing restarts it before the agent starts anew.
    expect(await stack.ctr.ok(['task', 'ls'])).toMatch(/^stubborn\s+\d+\s+STOPPED/m);
    await stack.ctr.removeContainers();
  });

  async function pidOf(container: string): Promise<string> {
    const line = (await stack.ctr.ok(['task', 'ls'])).split('\n').find((each) => each.startsWith(container));
    expect(line).toContain('RUNNING');
    return line!.split(/\s+/)[1]!;
  }
});
