import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@longshore/client';
import { isKind } from '@longshore/errors';
import { EventService } from '@longshore/proto/longshore/events/v1/events';

/** Where changes of a list are heard of. */
export interface ChangeSource {
  /** Topics of events begin so; none where nobody tells of changes, and the list is asked for again and again. */
  topics: readonly string[];
  allNamespaces?: boolean | undefined;
  signal: AbortSignal;
}

const ASK_AGAIN_MS = 2_000;

/** Tells, for one who lists again and again, that it is time to. However much happens meanwhile, it is told once. */
export class Changes {
  #something = Promise.withResolvers<void>();
  readonly #end: Promise<void>;

  private constructor(events: AsyncIterator<unknown>) {
    this.#end = this.#hear(events);
    this.#end.catch(() => undefined);
  }

  /** Resolves once nothing is missed any more. */
  static async open(client: Client, source: ChangeSource): Promise<Changes> {
    if (source.topics.length === 0) return new Changes(ticks(source.signal));
    return new Changes(
      await fleetEvents(client, source).catch((error) => orNodeEvents(error, client, source)),
    );
  }

  /** What happened up to here is not told any more: the list is about to be asked for. */
  forget(): void {
    this.#something = Promise.withResolvers();
  }

  /** Resolves when something has happened since {@link forget}. Throws when nothing is heard any more. */
  heard(): Promise<void> {
    return Promise.race([this.#something.promise, this.#end]);
  }

  async #hear(events: AsyncIterator<unknown>): Promise<void> {
    while (!(await events.next()).done) this.#something.resolve();
  }
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

async function* ticks(signal: AbortSignal): AsyncGenerator<void> {
  for (;;) {
    await delay(ASK_AGAIN_MS, undefined, { signal });
    yield;
  }
}

function filtersOf(topics: readonly string[]): string[] {
  return [`topic~="^(${topics.join('|')})"`];
}
