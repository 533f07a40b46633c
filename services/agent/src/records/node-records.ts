import { setTimeout as delay } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { messageOf } from '@longshore/errors';
import type { Logger } from '@longshore/kit';
import { Header } from '@longshore/proto/headers';
import { RecordSchema } from '@longshore/proto/longshore/watch/v1/watch';
import { RecordCopy } from './record-copy.ts';
import { RecordFollower, type WatchClient } from './record-follower.ts';
import { isRecordKind, KEEPERS, type Keeper, keeperOf, type RecordKind } from './record-kinds.ts';

/** A caller that has waited for a collection waits no longer than this for the copy to hear of it. */
const CAUGHT_UP_TIMEOUT_MS = 2_000;

/** What the trailers of our own clients are: grpc-js's `Metadata`. */
export interface TrailersRead {
  get(name: string): (string | Buffer)[];
}

export interface NodeRecordsOptions {
  /** The database file of the copy. */
  path: string;
  /** Says of which node and fleet the copy is. */
  owner: string;
  watches: Record<Keeper, WatchClient>;
  /** Name this node. */
  headers: Record<string, string>;
  log: Logger;
}

/** The copy of this node's records, with all that keeps it true. */
export class NodeRecords implements AsyncDisposable {
  readonly copy: RecordCopy;
  readonly #followers = new Map<Keeper, RecordFollower>();
  readonly #log: Logger;

  constructor({ path, owner, watches, headers, log }: NodeRecordsOptions) {
    this.copy = new RecordCopy(path, owner);
    this.#log = log;
    for (const keeper of KEEPERS) {
      const options = { keeper, client: watches[keeper], headers, copy: this.copy, log };
      this.#followers.set(keeper, new RecordFollower(options));
    }
  }

  /** Takes over binary records that a call of this node has changed, before its caller hears of it. Never throws. */
  take(encoded: readonly Uint8Array[]): void {
    if (encoded.length === 0) return;
    let keepers: readonly Keeper[] = KEEPERS;
    try {
      const records = encoded.map((bytes) => fromBinary(RecordSchema, bytes));
      keepers = records
        .map(({ kind }) => kind)
        .filter(isRecordKind)
        .map(keeperOf);
      this.copy.apply(records);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'records cannot be kept');
      for (const keeper of new Set(keepers)) this.#doubt(keeper);
    }
  }

  /** {@link take} for the trailers of one of our own clients: `onTrailers` of its call options. */
  readonly takeFrom = (trailers: TrailersRead): void =>
    this.take(trailers.get(Header.RecordBin).map((value) => value as Buffer));

  /**
   * A call begins that makes content, and whose caller hears of it before the trailers come: until then, what the copy
   * lacks is asked for. To be told at its end, and whether it is known what the call has made: by its trailers, or
   * because it was never sent.
   */
  expectContent(namespace: string): (isKnown: boolean) => void {
    const release = this.copy.expectNew('content', namespace);
    return (isKnown) => {
      if (isKnown) release();
      else void this.#followers.get('content')?.caughtUp().then(release);
    };
  }

  /** A call was sent that may have changed such a record, and its end was not heard: what it has changed is asked for. */
  doubtChange(kind: RecordKind, namespace: string): void {
    const release = this.copy.doubtPlace(kind, namespace);
    void this.#followers.get(keeperOf(kind))?.caughtUp().then(release);
  }

  /**
   * Waits until the copy has everything that was committed before. Of a keeper that does not say so in time, records
   * answer nothing until it does.
   */
  async caughtUp(): Promise<void> {
    const given = new AbortController();
    const timeout = delay(CAUGHT_UP_TIMEOUT_MS, 'late', { signal: given.signal }).catch(() => 'late');
    await Promise.all(
      [...this.#followers].map(async ([keeper, follower]) => {
        if ((await Promise.race([follower.caughtUp(), timeout])) === 'late') this.#doubt(keeper);
      }),
    );
    given.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#followers.values()].map((follower) => follower[Symbol.asyncDispose]()));
    this.copy[Symbol.dispose]();
  }

  #doubt(keeper: Keeper): void {
    this.copy.doubt(keeper);
    void this.#followers.get(keeper)?.caughtUp();
  }
}
