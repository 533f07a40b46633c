/** What a client did. */
interface Step {
  readonly atMs: number;
  readonly actor: string;
  readonly what: string;
  /** Names of what it was about. */
  readonly about: readonly string[];
  outcome: string;
}

const SHOWN_STEPS = 60;

/** What all clients did, in the order in which they began it. */
export class History {
  readonly #steps: Step[] = [];
  readonly #started = performance.now();

  /** Records a step, and how it ends. */
  async record<T>(actor: string, what: string, about: readonly string[], work: () => Promise<T>): Promise<T> {
    const step: Step = { atMs: performance.now() - this.#started, actor, what, about, outcome: 'under way' };
    this.#steps.push(step);
    try {
      const result = await work();
      step.outcome = `${typeof result === 'string' ? result : 'done'} at ${this.#now()}`;
      return result;
    } catch (error) {
      step.outcome = `failed at ${this.#now()}: ${error}`;
      throw error;
    }
  }

  get length(): number {
    return this.#steps.length;
  }

  /** The last steps that were about some names, and all collections between them. */
  about(names: readonly string[]): string {
    const wanted = new Set(names);
    const chosen = this.#steps.filter(
      ({ about }) => about.length === 0 || about.some((name) => wanted.has(name)),
    );
    const lines = chosen
      .slice(-SHOWN_STEPS)
      .map(
        ({ atMs, actor, what, about, outcome }) =>
          `  ${atMs.toFixed(0)} ${actor}: ${what} ${about.join(' ')}: ${outcome}`,
      );
    return [`the last ${lines.length} of ${chosen.length} steps about ${names.join(', ')}:`, ...lines].join(
      '\n',
    );
  }

  #now(): string {
    return (performance.now() - this.#started).toFixed(0);
  }
}
