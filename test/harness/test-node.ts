import { endContainers, type FleetNode, type Partition } from '@longshore/local';
import { Ctr } from './ctr.ts';

/** A node of a fleet under test. */
export class TestNode {
  readonly id: string;
  readonly socket: string;
  readonly root: string;
  readonly state: string;
  readonly cgroupParent: string;
  /** Debian's ctr on this node, where it reaches the registry as a local tool would. */
  readonly ctr: Ctr;
  readonly #node: FleetNode;

  constructor(node: FleetNode) {
    const { id, socket, root, state } = node.layout;
    this.id = id;
    this.socket = socket;
    this.root = root;
    this.state = state;
    this.cgroupParent = node.cgroupParent;
    this.ctr = new Ctr(socket, (words) => node.inside.enter(words));
    this.#node = node;
  }

  /** The cable between this node and the rest: what is on it is lost in silence. */
  readonly link = {
    down: (): Promise<void> => this.#node.link.down(),
    up: (): Promise<void> => this.#node.link.up(),
    partition: (partition: Partition): Promise<void> => this.#node.link.partition(partition),
    heal: (): Promise<void> => this.#node.link.heal(),
  };

  readonly agent = {
    /** 0 while it is not running. */
    pid: (): number => this.#node.agentPid,
    /** Resolves when it is gone; it is started again after half a second. */
    kill: (signal?: NodeJS.Signals): Promise<void> => this.#node.killAgent(signal),
    /** In order, until `start`. */
    stop: (): Promise<void> => this.#node.stopAgent(),
    start: (): Promise<void> => this.#node.resumeAgent(),
    /** Resolves when it is ready, now or after its next start. */
    whenReady: (): Promise<void> => this.#node.whenReady(),
  };

  /** Of what passes the link from then on, each way; the fleet must have been started with `delayMs`. */
  setDelay(delayMs: number): Promise<void> {
    return this.#node.setDelay(delayMs);
  }

  /** Runs a command in the node's namespaces and answers its stdout; throws with what it said when it fails. */
  exec(words: readonly string[], stdin?: string): Promise<string> {
    return this.#node.inside.run(words, stdin);
  }

  /** A path of the node as the test sees it: with `nodeDiskBytes` the node's root is in its mount namespace only. */
  path(path: string): string {
    return `/proc/${this.#node.inside.pid}/root${path}`;
  }

  /** `mountinfo` of its mount namespace. */
  get mountInfo(): string {
    return `/proc/${this.#node.inside.pid}/mountinfo`;
  }

  /** Kills agent, shims and containers with SIGKILL, as a machine that loses power; the agent starts again. */
  async crash(): Promise<void> {
    await Promise.all([this.agent.kill(), endContainers([this.state])]);
    // A shim that the agent was just starting.
    await endContainers([this.state]);
  }

  /** Ends every task and removes every container; tells of a failure, which shows in what is left. */
  async removeContainers(report: (line: string) => void): Promise<void> {
    await this.ctr.removeContainers().catch((error) => report(String(error)));
  }
}
