import { notFound } from '@longshore/errors';
import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '@longshore/proto/grpc/health/v1/health';
import type { Handlers } from './handlers.ts';

/** `grpc.health.v1.Health`: the empty name is the whole server. */
export class HealthService {
  readonly #stopping: AbortSignal;
  #serving = false;
  readonly #watchers = new Set<() => void>();

  /** Watches end when `stopping` aborts. */
  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
  }

  get serving(): boolean {
    return this.#serving;
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    for (const wake of this.#watchers) wake();
  }

  handlers(): Handlers<typeof Health> {
    return {
      check: async ({ service }) => {
        if (service !== '') throw notFound(`service ${JSON.stringify(service)}`);
        return { status: this.#status() };
      },
      list: async () => ({ statuses: { '': { status: this.#status() } } }),
      watch: ({ service }, call) => this.#watch(service, AbortSignal.any([call.signal, this.#stopping])),
    };
  }

  /** Tells the status now and each time it differs from what was told last; NOT_SERVING is the last of a server. */
  async *#watch(service: string, over: AbortSignal) {
    let told: ServingStatus | undefined;
    for (;;) {
      const status = service === '' ? this.#status() : ServingStatus.SERVICE_UNKNOWN;
      if (status !== told) {
        told = status;
        yield { status };
      } else if (over.aborted) {
        return;
      } else {
        await this.#changed(over);
      }
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #status(): ServingStatus {
    return this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }
}
