import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fleet, StoreName } from '@longshore/local';

/** The stores under a fleet, and what can go wrong with them. */
export class FleetStores {
  readonly #fleet: Fleet;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** For clients outside of the fleet's network: `nats://127.0.0.1:port`; user and password are `stores.nats`'s. */
  get natsUrl(): string {
    return `nats://${this.#fleet.outside.address('nats')}`;
  }

  /** Cuts every connection and starts the server again; resolves when it is ready. */
  async restart(name: StoreName): Promise<void> {
    const { stores } = this.#fleet;
    await stores.kill(name);
    await stores.whenReady(name);
  }

  stop(name: StoreName): Promise<void> {
    return this.#fleet.stores.stop(name);
  }

  start(name: StoreName): Promise<void> {
    return this.#fleet.stores.start(name);
  }

  /** NATS is killed, its streams are deleted, and it starts again with nothing. */
  async loseNatsData(): Promise<void> {
    const { stores, layout } = this.#fleet;
    await stores.stop('nats');
    await rm(join(layout.root, 'nats', 'jetstream'), { recursive: true });
    await stores.start('nats');
  }

  /** From now on the control plane finds an empty directory, read-only, in the place of its blobs. */
  async hideBlobs(): Promise<void> {
    const { control, layout } = this.#fleet;
    await control.run(['mount', '-t', 'tmpfs', '-o', 'ro,size=4k', 'tmpfs', layout.blobDir]);
  }

  async showBlobs(): Promise<void> {
    const { control, layout } = this.#fleet;
    await control.run(['umount', '--lazy', layout.blobDir]);
  }
}
