interface Readers {
  count: number;
  gone: PromiseWithResolvers<void>;
}

/** Who is reading the logs of this node's containers at the moment. */
export class LogReaders {
  /** By `namespace/id`. */
  readonly #readers = new Map<string, Readers>();

  /** One more, until the answer is disposed of. */
  enter(namespace: string, id: string): Disposable {
    const key = `${namespace}/${id}`;
    const readers = this.#readers.get(key) ?? { count: 0, gone: Promise.withResolvers<void>() };
    this.#readers.set(key, readers);
    readers.count += 1;
    return {
      [Symbol.dispose]: () => {
        readers.count -= 1;
        if (readers.count > 0) return;
        this.#readers.delete(key);
        readers.gone.resolve();
      },
    };
  }

  /** Resolves when nobody reads this one any more; undefined when nobody does. */
  gone(namespace: string, id: string): Promise<void> | undefined {
    return this.#readers.get(`${namespace}/${id}`)?.gone.promise;
  }
}
