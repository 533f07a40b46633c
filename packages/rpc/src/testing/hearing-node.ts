import { fromBinary } from '@bufbuild/protobuf';
import { Header } from '@longshore/proto/headers';
import { type Record, RecordSchema, type WatchService } from '@longshore/proto/longshore/watch/v1/watch';
import type { CallOptions, ServiceClient } from '../create-client.ts';

/** A node that hears of its records as its agent does: in the trailers of its calls, and over its watch. */
export class HearingNode {
  readonly node: string;
  readonly #watch: ServiceClient<typeof WatchService>;
  #reported: Record[] = [];
  #position = '';

  constructor(watch: ServiceClient<typeof WatchService>, node: string) {
    this.#watch = watch;
    this.node = node;
  }

  get options(): CallOptions {
    return {
      headers: { [Header.Namespace]: 'default', [Header.Node]: this.node },
      onTrailers: (trailers) => {
        for (const value of trailers.get(Header.RecordBin)) {
          this.#reported.push(fromBinary(RecordSchema, value as Buffer));
        }
      },
    };
  }

  /** What trailers and watch have told since the last time, each in the order of revisions. */
  async hear(): Promise<{ reported: Record[]; watched: Record[]; reset: boolean }> {
    const reported = this.#reported.splice(0);
    const watched: Record[] = [];
    let hasReset = false;
    const headers = { [Header.Node]: this.node };
    for await (const { records, position, synced, reset } of this.#watch.watch(
      { position: this.#position },
      { headers },
    )) {
      watched.push(...records);
      hasReset ||= reset;
      if (position !== '') this.#position = position;
      if (synced) break;
    }
    return { reported: inOrder(reported), watched: inOrder(watched), reset: hasReset };
  }
}

function inOrder(records: Record[]): Record[] {
  return records
    .sort((a, b) => Number(a.revision - b.revision))
    .map((record) => ({ ...record, value: new Uint8Array(record.value) }));
}
