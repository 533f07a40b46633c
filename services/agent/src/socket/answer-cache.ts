import type { WholeAnswer as Answer } from '@longshore/kit';

/** Manifests, configs and records; a larger answer costs more to hold than to fetch. */
export const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
/** Headers, trailers and the entry itself. */
const ENTRY_BYTES = 2 * 1024;

/** What a question asks for: two equal questions have equal answers until something changes. */
export interface Question {
  path: string;
  namespace: string;
  body: Buffer;
}

/** Holds the place of an answer that is on its way. */
export interface Expectation {
  /** Keeps the answer, unless something has changed since the question. */
  keep(answer: Answer): void;
}

/**
 * Answers of one service to this node's reads, for as long as nothing changes: whoever hears of a change says so.
 * States: open, when every change is heard of, or closed, when it remembers nothing.
 */
export class AnswerCache {
  /** By namespace, then by question, in the order of their first use. */
  readonly #namespaces = new Map<string, Map<string, Answer>>();
  #isOpen = false;
  #totalBytes = 0;
  /** Counts changes, so that an answer from before one is not kept after it. */
  #changes = 0;

  open(): void {
    // An answer that was asked for before may be older than what will be heard of.
    this.#changes += 1;
    this.#isOpen = true;
  }

  close(): void {
    this.#isOpen = false;
    this.#clear();
  }

  find({ namespace, path, body }: Question): Answer | undefined {
    return this.#namespaces.get(namespace)?.get(keyOf(path, body));
  }

  expect({ namespace, path, body }: Question): Expectation {
    const changes = this.#changes;
    return {
      keep: (answer) => {
        if (!this.#isOpen || changes !== this.#changes || answer.body.length > MAX_ANSWER_BYTES) return;
        this.#put(namespace, keyOf(path, body), answer);
      },
    };
  }

  /** Something in the namespace has changed, or is about to. */
  forget(namespace: string): void {
    this.#changes += 1;
    const answers = this.#namespaces.get(namespace);
    if (!answers) return;
    for (const [key, answer] of answers) this.#totalBytes -= sizeOf(key, answer);
    this.#namespaces.delete(namespace);
  }

  #put(namespace: string, key: string, answer: Answer): void {
    const sizeBytes = sizeOf(key, answer);
    if (this.#totalBytes + sizeBytes > MAX_TOTAL_BYTES) this.#clear();
    let answers = this.#namespaces.get(namespace);
    if (!answers) {
      answers = new Map();
      this.#namespaces.set(namespace, answers);
    }
    const former = answers.get(key);
    this.#totalBytes += sizeBytes - (former ? sizeOf(key, former) : 0);
    answers.set(key, answer);
  }

  #clear(): void {
    this.#changes += 1;
    this.#namespaces.clear();
    this.#totalBytes = 0;
  }
}

function sizeOf(key: string, { body }: Answer): number {
  return key.length + body.length + ENTRY_BYTES;
}

function keyOf(path: string, body: Buffer): string {
  return `${path} ${body.toString('latin1')}`;
}
