import type { MessageInitShape } from '@bufbuild/protobuf';
import { isKind, type RetryPolicy, retryDelayMs } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { NodeSchema, NodeService } from '@longshore/proto/longshore/runtime/v1/nodes';
import type { ServiceClient } from '@longshore/rpc';
import type { Desired } from './desired.ts';

export interface RegistrationOptions {
  nodeId: string;
  /** What this node says of itself, read anew for each registration. */
  report(): MessageInitShape<typeof NodeSchema>;
  /** How many tasks run here now. */
  runningTasks(): number;
  heartbeatMs: number;
  nodes: ServiceClient<typeof NodeService>;
  /** Told what the control plane wants. */
  desired: Desired;
  /** Told of which tasks it keeps what they mount, though their containers are deleted. */
  keptTasks(tasks: readonly { namespace: string; id: string }[]): void;
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
    const { nodes, nodeId, runningTasks, desired, keptTasks } = this.#options;
    const request = { id: nodeId, runningTasks: runningTasks() };
    try {
      const answer = await nodes.heartbeat(request, { signal: this.#stopped.signal });
      if (answer.desired) desired.take(answer.desired);
      keptTasks(answer.keptTasks);
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
      await this.#register();
    }
  }

  async #register(): Promise<void> {
    const { nodes, report, desired, log } = this.#options;
    const answer = await nodes.register({ node: report() }, { signal: this.#stopped.signal });
    this.#registered = true;
    const notice = answer.node?.notice;
    if (notice) log.warn({ notice, controlPlane: answer.controlPlaneVersion }, 'registered');
    else log.info({ node: answer.node?.id }, 'registered');
    if (answer.desired) desired.take(answer.desired);
  }
}
