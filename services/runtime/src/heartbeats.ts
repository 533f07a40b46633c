import { notFound } from '@longshore/errors';
import { nodeSubject } from './domain/node.ts';
import type { HeardNode, HeartbeatRepository } from './storage/postgres/heartbeat-repository.ts';

/** How long heartbeats wait for others: a thousand nodes cost four statements a second. */
const BATCH_MS = 250;

interface Batch {
  /** Running tasks by node. */
  beats: Map<string, number>;
  written: Promise<Map<string, HeardNode>>;
}

/** Gathers the heartbeats that come in at this replica, and writes those of a quarter of a second in one statement. */
export class Heartbeats {
  readonly #repository: HeartbeatRepository;
  #open: Batch | undefined;

  constructor(repository: HeartbeatRepository) {
    this.#repository = repository;
  }

  /** Resolves when it is written. Throws NotFound for a node that has never registered. */
  async beat(id: string, runningTasks: number): Promise<HeardNode> {
    this.#open ??= this.#begin();
    const { beats, written } = this.#open;
    beats.set(id, runningTasks);
    const heard = (await written).get(id);
    if (!heard) throw notFound(nodeSubject(id));
    return heard;
  }

  #begin(): Batch {
    const beats = new Map<string, number>();
    const written = new Promise<void>((resolve) => setTimeout(resolve, BATCH_MS)).then(async () => {
      this.#open = undefined;
      const heard = await this.#repository.beat(beats);
      return new Map(heard.map((node) => [node.id, node]));
    });
    return { beats, written };
  }
}
