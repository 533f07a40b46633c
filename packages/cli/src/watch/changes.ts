import { once } from 'node:events';
import type { Client } from '@longshore/client';
import { isKind, unavailable } from '@longshore/errors';
import { EventService } from '@longshore/proto/longshore/events/v1/events';

/** Where changes of a list are heard of. */
export interface ChangeSource {
  /** Topics of events begin so; none where nobody tells of changes, and the list is asked for again and again. */
  topics: readonly string[];
  allNamespaces?: boolean | undefined;
  signal: AbortSignal;
}

/** Where nobody tells of changes. */
const ASK_AGAIN_MS = 2_000;
/** A node's copy of records may come after the event: for a while the list is asked for again and again. */
const SETTLING_MS = 5_000;
const ASK_SETTLING_MS = 1_000;
/** And now and then in any case. */
const ASK_IN_ANY_CASE_MS = 10_000;

/** Tells, for one who lists again and again, that it is time to. However much happens meanwhile, it is told once. */
export class Changes {
  #something = Promise.withResolvers<void>();
  #lastAt = Number.NEGATIVE_INFINITY;
  readonly #end: Promise<never>;
  readonly #isTold: boolean;

  private constructor(events: AsyncIterator<unknown> | undefined, signal: AbortSignal) {
    this.#isTold = events !== undefined;
    this.#end = events ? this.#hear(events) : ended(signal);
    this.#end.catch(() => undefined);
  }

  /** Resolves once nothing is missed any more. */
  static async open(client: Client, source: ChangeSource): Promise<Changes> {
    const { topics, signal } = source;
    if (topics.length === 0) return new Changes(undefined, signal);
    const events = await fleetEvents(client, source).catch((error) => orNodeEvents(error, client, source));
    return new Changes(events, signal);
  }

  /** What happened up to here is not told any more: the list is about to be asked for. */
  forget(): void {
    this.#something = Promise.withResolvers();
  }

  /** Resolves when something has, or may have, happened since {@link forget}. Throws when nothing is heard any more. */
  heard(): Promise<void> {
    const time = Promise.withResolvers<void>();
    const timer = setTimeout(time.resolve, this.#pauseMs);
    return Promise.race([this.#something.promise, this.#end, time.promise]).finally(() =>
      clearTimeout(timer),
    );
  }

  get #pauseMs(): number {
    if (!this.#isTold) return ASK_AGAIN_MS;
    return performance.now() - this.#lastAt < SETTLING_MS ? ASK_SETTLING_MS : ASK_IN_ANY_CASE_MS;
  }

  async #hear(events: AsyncIterator<unknown>): Promise<never> {
    while (!(await events.next()).done) {
      this.#lastAt = performance.now();
      this.#something.resolve();
    }
    throw unavailable('watch: the server has ended it');
  }
}

/** Rejects with its reason. */
async function ended(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}

/** As a fleet keeps them: of all its nodes, or of the one that is meant. Its first answer has no event: it says that it has begun. */
async function fleetEvents(
  client: Client,
  { topics, allNamespaces, signal }: ChangeSource,
): Promise<AsyncIterator<unknown>> {
  const wanted = { filters: filtersOf(topics), node: client.node ?? '' };
  const service = client.service(EventService);
  const answers: AsyncIterable<{ event?: unknown }> = allNamespaces
    ? service.subscribeFleet({ wanted }, { signal })
    : service.subscribe(wanted, { signal });
  const events = withEvents(answers)[Symbol.asyncIterator]();
  await events.next();
  return events;
}

/** What is no event says only how far the fleet has come; the first of all is passed on. */
async function* withEvents(answers: AsyncIterable<{ event?: unknown }>): AsyncGenerator<unknown> {
  let isFirst = true;
  for await (const answer of answers) {
    if (isFirst || answer.event) yield answer;
    isFirst = false;
  }
}

/** A node's own socket, and a containerd, tell of what happens as it happens. */
async function orNodeEvents(
  error: unknown,
  client: Client,
  { topics, allNamespaces, signal }: ChangeSource,
): Promise<AsyncIterator<unknown>> {
  if (!isKind(error, 'Unimplemented')) throw error;
  const events = await client.events.open({ filters: filtersOf(topics), allNamespaces, signal });
  return events[Symbol.asyncIterator]();
}

function filtersOf(topics: readonly string[]): string[] {
  return [`topic~="^(${topics.join('|')})"`];
}
