import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import type { Term } from '@longshore/postgres';
import { heard } from './domain/node-changes.ts';
import type { Forgetting } from './forgetting.ts';
import type { CertificateRepository } from './storage/postgres/certificate-repository.ts';
import type { HeartbeatRepository } from './storage/postgres/heartbeat-repository.ts';
import type { JoinTokenRepository } from './storage/postgres/join-token-repository.ts';
import type { NodeRepository } from './storage/postgres/node-repository.ts';

const MAX_TICK_MS = 1_000;
const PRUNE_EVERY_MS = 10 * 60_000;

export interface ReconcilerOptions {
  nodes: NodeRepository;
  heartbeats: HeartbeatRepository;
  certificates: CertificateRepository;
  tokens: JoinTokenRepository;
  forgetting: Forgetting;
  unreachableAfterMs: number;
  log: Logger;
}

/** Keeps what is said of nodes true: who is silent becomes unreachable, who was removed is forgotten. Led. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  /** Since when nothing kept heartbeats from being written, as far as is known here. */
  #listeningSince = 0;
  #prunedAt = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Goes on until the term is over. A failed round is tried again. */
  async run(term: Term, signal: AbortSignal): Promise<void> {
    const { forgetting } = this.#options;
    this.#listeningSince = performance.now();
    // A removal takes as long as those do who are asked for it: nobody else waits for that.
    await Promise.all([
      this.#repeat(signal, () => this.#round(term)),
      this.#repeat(signal, () => forgetting.run(term)),
    ]);
  }

  async #repeat(signal: AbortSignal, round: () => Promise<void>): Promise<void> {
    const { unreachableAfterMs, log } = this.#options;
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ error: messageOf(error) }, 'nodes cannot be looked after');
        this.#listeningSince = performance.now();
      }
      await delay(Math.min(MAX_TICK_MS, unreachableAfterMs / 10), undefined, { signal }).catch(
        () => undefined,
      );
    }
  }

  async #round(term: Term): Promise<void> {
    await this.#markReturned(term);
    await this.#markSilent(term);
    await this.#prune();
  }

  /** A heartbeat itself does this at once; here for one whose replica died in between. */
  async #markReturned(term: Term): Promise<void> {
    const { nodes, heartbeats, unreachableAfterMs } = this.#options;
    for (const id of await heartbeats.returned(unreachableAfterMs)) {
      await nodes.change(id, heard, { before: term });
    }
  }

  /** After an outage of our own, nodes get their whole time to be heard of again. */
  async #markSilent(term: Term): Promise<void> {
    const { nodes, heartbeats, unreachableAfterMs, log } = this.#options;
    const silent = await heartbeats.silent(unreachableAfterMs);
    if (performance.now() - this.#listeningSince < unreachableAfterMs) return;
    for (const id of silent) {
      const node = await nodes.markUnreachable(id, unreachableAfterMs, term);
      if (node) log.warn({ node: id, lastSeenAt: node.lastSeenAt }, 'node is unreachable');
    }
  }

  async #prune(): Promise<void> {
    if (performance.now() - this.#prunedAt < PRUNE_EVERY_MS) return;
    this.#prunedAt = performance.now();
    await this.#options.certificates.prune();
    await this.#options.tokens.prune();
  }
}
