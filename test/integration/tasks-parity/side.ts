import { kindOf, messageOf } from '@longshore/errors';
import { Containers } from '@longshore/proto/containerd/services/containers/v1/containers';
import { Tasks } from '@longshore/proto/containerd/services/tasks/v1/tasks';
import { Header } from '@longshore/proto/headers';
import { JsonTypeUrl } from '@longshore/proto/json-types';
import { type Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { plain } from './plain.ts';

/** What is done on both sides; each {@link Side.said} is compared. */
export type Cases = Record<string, (side: Side) => Promise<void>>;

/** What the two sides do not share. */
export interface Place {
  /** Where the daemon keeps its bundles; left out of what is compared. */
  state: string;
  /** A directory with busybox, which both use. */
  image: string;
  /** Cgroups of all cases are below it. */
  cgroup: string;
  /** Of tasks: where runc keeps its state, which the two must not share. */
  options?: Opaque;
}

/** What says the kind once more: clients take it off, and put it there. */
const CLASS_TAIL = /(: (unknown|invalid argument|not found|already exists|failed precondition))+$/;

interface Opaque {
  typeUrl: string;
  value: Uint8Array;
}

/** In what a container of a case differs from a plain one. */
export interface Differences {
  /** Of its spec. */
  spec?: object;
  /** Of its record. */
  record?: { spec?: Opaque; runtime?: { name: string; options?: Opaque } };
}

/** One side, in a namespace of the case's own. */
export class Side {
  readonly containers: ServiceClient<typeof Containers>;
  readonly tasks: ServiceClient<typeof Tasks>;
  readonly options: { headers: Record<string, string> };
  readonly namespace: string;
  /** What each step was answered, or refused with: `<kind>: <words>`. */
  readonly said: Record<string, unknown> = {};
  readonly #place: Place;
  readonly #channel: Channel;

  constructor(channel: Channel, namespace: string, place: Place) {
    this.#channel = channel;
    this.#place = place;
    this.namespace = namespace;
    this.containers = createClient(Containers, channel);
    this.tasks = createClient(Tasks, channel);
    this.options = { headers: namespace === '' ? {} : { [Header.Namespace]: namespace } };
  }

  /** The same socket, in another namespace. */
  as(namespace: string): Side {
    return new Side(this.#channel, namespace, this.#place);
  }

  /** Does a step, which may be refused. */
  async say(step: string, work: Promise<unknown>): Promise<void> {
    if (step in this.said) throw new Error(`step ${step} is there twice`);
    this.said[step] = await work.then(
      (answer) => this.#plain(answer),
      (error) => `${kindOf(error)}: ${this.#plain(messageOf(error).replace(CLASS_TAIL, ''))}`,
    );
  }

  /** As {@link say}, where the words of a refusal are each daemon's own. */
  async sayKind(step: string, work: Promise<unknown>): Promise<void> {
    await this.say(
      step,
      work.catch((error) => kindOf(error)),
    );
  }

  /** A container that runs `args` of busybox. */
  async define(id: string, args: string[], more: Differences = {}): Promise<void> {
    const container = { ...this.record(id, this.spec(id, args, more.spec)), ...more.record };
    await this.containers.create({ container }, this.options);
  }

  record(id: string, spec: object) {
    return {
      id,
      runtime: { name: 'io.containerd.runc.v2' },
      spec: { typeUrl: JsonTypeUrl.Spec, value: Buffer.from(JSON.stringify(spec)) },
    };
  }

  spec(id: string, args: string[], more: object = {}) {
    return {
      ociVersion: '1.0.2',
      process: { args: ['/bin/busybox', ...args], cwd: '/', user: { uid: 0, gid: 0 }, env: ['PATH=/bin'] },
      root: { path: 'rootfs' },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['mode=755'] },
        {
          destination: '/dev/pts',
          type: 'devpts',
          source: 'devpts',
          options: ['newinstance', 'ptmxmode=0666'],
        },
      ],
      linux: {
        cgroupsPath: `${this.#place.cgroup}/${this.namespace}/${id}`,
        namespaces: ['pid', 'mount', 'ipc', 'uts', 'network'].map((type) => ({ type })),
      },
      ...more,
    };
  }

  async create(id: string, io: object = {}): Promise<number> {
    return (await this.tasks.create(this.createRequest(id, io), this.options)).pid;
  }

  createRequest(containerId: string, io: object = {}) {
    const rootfs = [{ type: 'bind', source: this.#place.image, options: ['rbind', 'rw'] }];
    const { options } = this.#place;
    return { containerId, rootfs, ...(options && { options }), ...io };
  }

  /** A container and its task, whose first process runs. Answers its pid. */
  async run(id: string, args: string[], more: Differences = {}, io: object = {}): Promise<number> {
    await this.define(id, args, more);
    const pid = await this.create(id, io);
    await this.tasks.start({ containerId: id }, this.options);
    return pid;
  }

  execRequest(containerId: string, execId: string, args: string[], io: object = {}) {
    const process = { args: ['/bin/busybox', ...args], cwd: '/', user: { uid: 0, gid: 0 } };
    const value = Buffer.from(JSON.stringify(process));
    return { containerId, execId, spec: { typeUrl: JsonTypeUrl.Process, value }, ...io };
  }

  exec(containerId: string, execId: string, args: string[]): Promise<unknown> {
    return this.tasks.exec(this.execRequest(containerId, execId, args), this.options);
  }

  /** Resolves when the task has ended. */
  async end(containerId: string): Promise<void> {
    await this.tasks.kill({ containerId, signal: 9 }, this.options);
    await this.tasks.wait({ containerId }, this.options);
  }

  /** Whatever a case has left. */
  async clear(): Promise<void> {
    const { containers } = await this.containers.list({}, this.options);
    for (const { id: containerId } of containers) {
      await this.tasks.resume({ containerId }, this.options).catch(() => undefined);
      await this.end(containerId).catch(() => undefined);
      await this.tasks.delete({ containerId }, this.options).catch(() => undefined);
      await this.containers.delete({ id: containerId }, this.options).catch(() => undefined);
    }
  }

  #plain(value: unknown): unknown {
    return plain(value, this.#place.state);
  }
}
