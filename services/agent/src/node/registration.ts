import { hostname, release } from 'node:os';
import type { ServiceClient } from '@longshore/client';
import { isKind, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import { cgroupVersion } from './host.ts';

export interface RegistrationOptions {
  nodeId: string;
  /** Where the control plane reaches this agent. */
  address: string;
  softwareVersion: string;
  snapshotters: string[];
  heartbeatMs: number;
  nodes: ServiceClient<typeof NodeService>;
  log: Logger;
}

const RETRY: RetryPolicy = { initialDelayMs: 200, maxDelayMs: 10_000, attempts: Number.POSITIVE_INFINITY };

/** Keeps this node known to the control plane, in the background; an outage only delays it. */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #registered = false;
  #failures = 0;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#beat();
  }

  close(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  async #beat(): Promise<void> {
    try {
      if (this.#registered) await this.#heartbeat();
      else await this.#register();
      this.#failures = 0;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      this.#failures += 1;
      this.#options.log.warn(
        { err: error, failures: this.#failures },
        'the control plane does not hear this node',
      );
    }
    if (this.#stopped.signal.aborted) return;
    const delayMs = this.#failures > 0 ? retryDelayMs(RETRY, this.#failures) : this.#options.heartbeatMs;
    this.#timer = setTimeout(() => void this.#beat(), delayMs);
  }

  async #heartbeat(): Promise<void> {
    const { nodes, nodeId } = this.#options;
    try {
      await nodes.heartbeat({ id: nodeId }, { signal: this.#stopped.signal });
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
      await this.#register();
    }
  }

  async #register(): Promise<void> {
    const { nodes, nodeId, address, softwareVersion, snapshotters, log } = this.#options;
    const node = {
      id: nodeId,
      address,
      hostname: hostname(),
      kernel: release(),
      architecture: process.arch,
      cgroupVersion: cgroupVersion(),
      softwareVersion,
      snapshotters,
    };
    await nodes.register({ node }, { signal: this.#stopped.signal });
    this.#registered = true;
    log.info({ node: nodeId }, 'registered');
  }
}
