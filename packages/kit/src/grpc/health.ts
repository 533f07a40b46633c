import { notFound } from '@longshore/errors';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '@longshore/proto/grpc/health/v1/health';
import type { Call } from './call.ts';
import type { GrpcServer } from './server.ts';

/** `grpc.health.v1.Health`: the empty name is the whole server. */
export class HealthService {
  #serving = false;
  readonly #watchers = new Set<() => void>();

  get serving(): boolean {
    return this.#serving;
  }

  setServing(serving: boolean): void {
    this.#serving = serving;
    for (const wake of this.#watchers) wake();
  }

  addTo(server: GrpcServer): void {
    server.add(Health, {
      check: async ({ service }) => {
        if (service !== '') throw notFound(`service ${JSON.stringify(service)}`);
        return { status: this.#status() };
      },
      list: async () => ({ statuses: { '': { status: this.#status() } } }),
      watch: ({ service }, call) => this.#watch(service, call),
    });
  }

  async *#watch(service: string, call: Call) {
    if (service !== '') yield { status: ServingStatus.SERVICE_UNKNOWN };
    else yield { status: this.#status() };
    while (!call.signal.aborted) {
      await this.#changed(call.signal);
      if (service === '' && !call.signal.aborted) yield { status: this.#status() };
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
