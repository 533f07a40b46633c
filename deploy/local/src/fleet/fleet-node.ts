import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { failedPrecondition, unavailable } from '@longshore/errors';
import { quote } from '../ctr.ts';
import { guard } from '../guard.ts';
import { SHUTDOWN_TIMEOUT_MS, serviceCommand, serviceUnit } from '../service-unit.ts';
import { cgroupParentOf } from '../services.ts';
import { Supervisor } from '../supervisor.ts';
import type { Toolchain } from '../toolchain.ts';
import { nodeRelay } from './delayed-link.ts';
import { type FleetLayout, type NodeLayout, PORTS } from './layout.ts';
import { Namespaces } from './namespaces.ts';
import { Link } from './network.ts';
import type { RelayProcess } from './relay-process.ts';

const JOIN_TIMEOUT_MS = 60_000;

/** As a second machine would be: a name of its own, and of the fleet's directories only its own. */
const FURNISH = `
hide() {
  cd "$1/$2"
  mount -t tmpfs -o mode=711 tmpfs "$1"
  mkdir "$1/$2"
  mount --no-canonicalize --bind . "$1/$2"
  cd /
}
hostname "$1"
if [ -e /etc/machine-id ]; then mount --bind "$4" /etc/machine-id; fi
hide "$2" "$1"
hide "$3" "$1"
if [ -n "$5" ]; then mount -t tmpfs -o "size=$5,mode=711" tmpfs "$2/$1"; fi
`;

export interface FleetNodeOptions {
  layout: FleetLayout;
  self: NodeLayout;
  control: Namespaces;
  tools: Toolchain;
  /** Whether the link has a delay, which can be 0 for a while. */
  isDelayed: boolean;
  /** Size of a disk of its own, in memory; default: a directory of the machine's. */
  diskBytes?: number | undefined;
  /** Further variables for the agent. */
  env: NodeJS.ProcessEnv;
  report: (line: string) => void;
}

/** One node: namespaces of its own with a link to the control plane, and in them its agent and containers. */
export class FleetNode implements AsyncDisposable {
  readonly layout: NodeLayout;
  readonly inside: Namespaces;
  readonly link: Link;
  readonly #options: FleetNodeOptions;
  readonly #supervisor: Supervisor;
  readonly #relay: RelayProcess | undefined;

  private constructor(
    options: FleetNodeOptions,
    inside: Namespaces,
    link: Link,
    supervisor: Supervisor,
    relay: RelayProcess | undefined,
  ) {
    this.layout = options.self;
    this.inside = inside;
    this.link = link;
    this.#options = options;
    this.#supervisor = supervisor;
    this.#relay = relay;
  }

  /** Makes the machine and its link; nothing of longshore runs on it yet. */
  static async create(options: FleetNodeOptions): Promise<FleetNode> {
    const { layout, self, control, tools, isDelayed, diskBytes } = options;
    const machineId = join(layout.controlRoot, `machine-id-${self.id}`);
    await provideMachineId(machineId);
    // Postgres' own user passes through the directory above.
    for (const dir of [self.root, self.state]) await mkdir(dir, { recursive: true, mode: 0o711 });
    await chmod(self.state, 0o700);
    guard().protectCgroup(cgroupParentOf(self.state));
    const logPath = join(layout.logDir, `${self.id}-namespaces.log`);
    const inside = await Namespaces.create(
      {
        name: self.id,
        kinds: ['net', 'mount', 'uts'],
        script: FURNISH,
        args: [self.id, layout.root, layout.state, machineId, String(diskBytes ?? '')],
        logPath,
      },
      tools,
    );
    const supervisor = new Supervisor(options.report);
    try {
      const link = await Link.lay(control, inside, layout, self, isDelayed);
      const relayLog = join(layout.logDir, `relay-${self.id}.log`);
      const relay = isDelayed ? nodeRelay(self, inside, layout, tools, relayLog) : undefined;
      if (relay !== undefined) await supervisor.startWave([relay.unit]);
      const node = new FleetNode(options, inside, link, supervisor, relay);
      await node.#writeClient();
      return node;
    } catch (error) {
      await supervisor.close();
      await inside.close();
      throw error;
    }
  }

  get id(): string {
    return this.layout.id;
  }

  /** A script that is ctr on this node: clients of 1.6 fetch images by themselves, so they must reach the registry. */
  get clientPath(): string {
    return join(this.#options.layout.state, `ctr-${this.id}`);
  }

  get cgroupParent(): string {
    return cgroupParentOf(this.layout.state);
  }

  /** Whether its disk says that it belongs to the fleet. */
  get hasJoined(): boolean {
    return existsSync(`/proc/${this.inside.pid}/root${join(this.layout.root, 'identity', 'node.crt')}`);
  }

  /** Runs the join command, as an operator does on a new machine. Throws Unavailable with what it said. */
  async join(server: string, token: string): Promise<void> {
    const words = this.inside.enter(serviceCommand('agent', ['join', '--server', server]));
    const [command = '', ...args] = words;
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...this.#environment(), ...guard().environment },
      cwd: '/',
      timeout: JOIN_TIMEOUT_MS,
    });
    child.stderr.pipe(createWriteStream(join(this.#options.layout.logDir, `join-${this.id}.log`)));
    child.stdin.on('error', () => {}).end(`${token}\n`);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    const [said, complained, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
    if (code === 0) return;
    throw unavailable(`node "${this.id}": join ended with ${code}: ${`${said}${complained}`.trim()}`);
  }

  /** Starts the agent, which is started again whenever it ends; resolves when it is ready. */
  async startAgent(): Promise<void> {
    const unit = serviceUnit({
      name: this.#agentName,
      service: 'agent',
      env: this.#environment(),
      logPath: join(this.#options.layout.logDir, `${this.#agentName}.log`),
      enter: (words) => this.inside.enter(words),
    });
    await this.#supervisor.startWave([unit]);
  }

  /** 0 while it is not running. */
  get agentPid(): number {
    return this.#supervisor.process(this.#agentName)?.pid ?? 0;
  }

  /** Resolves when the agent's process is gone; it is started again after half a second. */
  async killAgent(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const process = this.#supervisor.process(this.#agentName);
    process?.child.kill(signal);
    await process?.exited;
  }

  /** Stops the agent in order, until `resumeAgent`. */
  stopAgent(): Promise<void> {
    return this.#supervisor.stop(this.#agentName);
  }

  resumeAgent(): Promise<void> {
    return this.#supervisor.start(this.#agentName);
  }

  /** Resolves when the agent is ready, now or after its next start. */
  whenReady(): Promise<void> {
    return this.#supervisor.whenReady(this.#agentName);
  }

  /** Of what passes from then on, each way. Throws FailedPrecondition when the link was made without a delay. */
  async setDelay(delayMs: number): Promise<void> {
    if (this.#relay === undefined)
      throw failedPrecondition(`node "${this.id}": its link was made without a delay`);
    await this.#relay.setDelay(delayMs);
  }

  /** Ends the agent; containers run on until {@link close}. */
  async close(): Promise<void> {
    await this.#supervisor.close();
    await this.inside.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #writeClient(): Promise<void> {
    const words = [this.#options.tools.binaries.ctr, '--address', this.layout.socket];
    const line = this.inside.enter(words).map(quote).join(' ');
    await writeFile(this.clientPath, `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o700 });
  }

  get #agentName(): string {
    return `agent-${this.id}`;
  }

  #environment(): NodeJS.ProcessEnv {
    const { self, tools, env } = this.#options;
    return {
      ...tools.env,
      LONGSHORE_ROOT: self.root,
      LONGSHORE_STATE: self.state,
      LONGSHORE_SOCKET: self.socket,
      LONGSHORE_NODE_ID: self.id,
      LONGSHORE_CGROUP_PARENT: this.cgroupParent,
      LONGSHORE_AGENT_LISTEN: `${self.host}:${PORTS.agent}`,
      LONGSHORE_SHUTDOWN_TIMEOUT_MS: String(SHUTDOWN_TIMEOUT_MS),
      ...env,
    };
  }
}

/** 32 hexadecimal digits, for good. Source: machine-id(5). */
async function provideMachineId(path: string): Promise<void> {
  if (existsSync(path)) return;
  await writeFile(path, `${randomUUID().replaceAll('-', '')}\n`, { mode: 0o444 });
}
