import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isKind } from '@longshore/errors';
import { Snapshots } from '@longshore/proto/containerd/services/snapshots/v1/snapshots';
import { Header } from '@longshore/proto/headers';
import { Channel, createClient, type ServiceClient } from '@longshore/rpc';
import { vi } from 'vitest';

/** Headers of the namespace that tests work in. */
export const IN_DEFAULT = { headers: { [Header.Namespace]: 'default' } };

/** A process that serves `snapshots.v1` and is none of ours: Debian's containerd, looked at for no more than that. */
export class ForeignSnapshotter implements AsyncDisposable {
  readonly address: string;
  readonly client: ServiceClient<typeof Snapshots>;
  readonly #directory: string;
  readonly #channel: Channel;
  #child: ChildProcess | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.address = `unix://${join(directory, 's.sock')}`;
    this.#channel = new Channel(this.address);
    this.client = createClient(Snapshots, this.#channel);
  }

  static async start(): Promise<ForeignSnapshotter> {
    const directory = await mkdtemp(join(tmpdir(), 'longshore-foreign-'));
    await mkdir(join(directory, 'state'));
    await writeFile(join(directory, 'config.toml'), configuration(directory, join(directory, 's.sock')));
    const foreign = new ForeignSnapshotter(directory);
    await foreign.resume();
    return foreign;
  }

  async resume(): Promise<void> {
    const args = ['--config', join(this.#directory, 'config.toml'), '--log-level', 'error'];
    this.#child = spawn('containerd', args, { stdio: 'ignore' });
    const answers = () =>
      this.client
        .stat({ snapshotter: 'native', key: 'none' }, IN_DEFAULT)
        .catch((error) => isKind(error, 'NotFound'));
    await vi.waitUntil(answers);
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#channel.close();
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

function configuration(directory: string, socket: string): string {
  const disabled = [
    'io.containerd.grpc.v1.cri',
    'io.containerd.internal.v1.opt',
    'io.containerd.snapshotter.v1.btrfs',
  ];
  return `version = 2
root = ${JSON.stringify(join(directory, 'root'))}
state = ${JSON.stringify(join(directory, 'state'))}
disabled_plugins = ${JSON.stringify(disabled)}

[grpc]
address = ${JSON.stringify(socket)}

[plugins."io.containerd.gc.v1.scheduler"]
deletion_threshold = 0
mutation_threshold = 1000000
startup_delay = "24h"
`;
}
