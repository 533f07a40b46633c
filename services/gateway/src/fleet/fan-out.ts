import { isKind, messageOf, unavailable } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import type { CallOptions } from '@longshore/rpc';
import type { NodeConnection } from '../nodes/node-connection.ts';
import { merge } from './merge.ts';

/** Enough to have a thousand nodes answer in well under a second, few enough to hold their answers in memory. */
const CONCURRENCY = 64;
const BUFFERED_ITEMS = 256;
/**
 * Many silent nodes hold others up; the last ones asked have until this many times the time of one node. Connecting to
 * many, which is this process's own work, may take as long before that.
 */
const ROUNDS = 3;

/** Whose question it is. */
export interface Asker {
  signal: AbortSignal;
  /** Sent along; the node's own scope is added. */
  headers: Readonly<Record<string, string>>;
}

export interface FromNode<T> {
  node: string;
  item: T;
}

/** Asks one node; undefined for one that has nothing to say. Its signal aborts when the node is late. */
export type Question<T> = (node: NodeConnection, options: CallOptions) => AsyncIterable<T> | undefined;

/** Ids of the nodes that can have something to say; undefined: any may. */
export type Choice = (options: CallOptions) => Promise<ReadonlySet<string> | undefined>;

/** What the nodes said. The names are complete once the items were read to their end. */
export interface FleetAnswer<T> extends AsyncIterable<FromNode<T>> {
  /** Nodes that did not answer, or not to the end, in byte order. */
  unreachable(): string[];
}

export interface FanOutOptions {
  nodes: { all(): Promise<readonly NodeConnection[]> };
  /** A node that says nothing for this long has not answered. */
  timeoutMs: number;
  log: Logger;
}

/** Asks all nodes, or those of a choice, one question. A node that is away, hangs or fails is named, and harms nobody. */
export class FanOut {
  readonly #options: FanOutOptions;

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  /**
   * Reading throws what every node refused with, e.g. InvalidArgument; never for a part of the nodes. Nodes that the
   * registry has given up are named though they are not chosen: who is away cannot be heard.
   */
  ask<T>(asker: Asker, question: Question<T>, choice?: Choice): FleetAnswer<T> {
    const missing = new Set<string>();
    const items = this.#items(asker, question, choice, missing);
    return { [Symbol.asyncIterator]: () => items, unreachable: () => [...missing].sort() };
  }

  async *#items<T>(
    asker: Asker,
    question: Question<T>,
    choice: Choice | undefined,
    missing: Set<string>,
  ): AsyncGenerator<FromNode<T>> {
    const [all, chosen] = await Promise.all([this.#options.nodes.all(), choice?.(asker)]);
    const nodes = chosen ? all.filter(({ id }) => chosen.has(id)) : all;
    for (const node of all) {
      if (!node.isAway || !chosen || chosen.has(node.id)) continue;
      if (question(node, asker) !== undefined) missing.add(node.id);
    }
    const survey = new Survey(this.#options, asker, missing);
    // Those that are likely to keep us waiting must not keep others from being asked.
    const inOrder = [...nodes].sort((a, b) => Number(a.isAway) - Number(b.isAway));
    const sources = inOrder.map((node) => survey.ask(node, question));
    yield* merge(sources, { concurrency: CONCURRENCY, buffered: BUFFERED_ITEMS });
    asker.signal.throwIfAborted();
    survey.throwIfRefused();
  }
}

/** One question, while it is asked. */
class Survey {
  readonly #options: FanOutOptions;
  readonly #asker: Asker;
  readonly #missing: Set<string>;
  /** When the first word of every node is due, in the time of `performance.now`. */
  #deadline: number;
  /** When every node is to be connected. */
  readonly #connectBy: number;
  #answers = 0;
  #refusal: Error | undefined;

  constructor(options: FanOutOptions, asker: Asker, missing: Set<string>) {
    this.#options = options;
    this.#asker = asker;
    this.#missing = missing;
    this.#connectBy = performance.now() + ROUNDS * options.timeoutMs;
    this.#deadline = this.#connectBy;
  }

  async *ask<T>(node: NodeConnection, question: Question<T>): AsyncGenerator<FromNode<T>> {
    try {
      yield* this.#answerOf(node, question);
    } catch (error) {
      if (this.#asker.signal.aborted) return;
      this.#missing.add(node.id);
      if (!isAbsence(error)) this.#refusal ??= error as Error;
      this.#options.log.debug({ node: node.id, error: messageOf(error) }, 'node did not answer');
    }
  }

  /** A refusal by all who were heard is the answer to the question; by some, it is the matter of these nodes. */
  throwIfRefused(): void {
    if (this.#refusal && this.#answers === 0) throw this.#refusal;
  }

  async *#answerOf<T>(node: NodeConnection, question: Question<T>): AsyncGenerator<FromNode<T>> {
    const late = new AbortController();
    const items = question(node, {
      signal: AbortSignal.any([this.#asker.signal, late.signal]),
      headers: { ...this.#asker.headers, [Header.Node]: node.id },
    });
    if (items === undefined) return;
    node.requireReachable();
    await this.#connect(node);
    const iterator = items[Symbol.asyncIterator]();
    try {
      let timeoutMs = Math.max(0, Math.min(this.#options.timeoutMs, this.#deadline - performance.now()));
      for (;;) {
        const timer = setTimeout(() => late.abort(), timeoutMs);
        const next = await iterator.next().finally(() => clearTimeout(timer));
        if (next.done) break;
        yield { node: node.id, item: next.value };
        timeoutMs = this.#options.timeoutMs;
      }
      node.heard();
      this.#answers++;
    } catch (error) {
      if (late.signal.aborted || isKind(error, 'Unavailable')) node.lost();
      throw error;
    } finally {
      await iterator.return?.();
    }
  }

  /** Not in the node's own time: to connect to many takes this process a while. */
  async #connect(node: NodeConnection): Promise<void> {
    if (node.isConnected) return;
    const { signal } = this.#asker;
    const late = Promise.withResolvers<never>();
    const giveUp = () => late.reject(unavailable(`node ${JSON.stringify(node.id)}: cannot be connected to`));
    const timer = setTimeout(giveUp, Math.max(0, this.#connectBy - performance.now()));
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await Promise.race([node.connect(), late.promise]);
    } catch (error) {
      if (!signal.aborted) node.lost();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
    this.#deadline = performance.now() + ROUNDS * this.#options.timeoutMs;
  }
}

function isAbsence(error: unknown): boolean {
  return isKind(error, 'Unavailable', 'DeadlineExceeded', 'Canceled');
}
