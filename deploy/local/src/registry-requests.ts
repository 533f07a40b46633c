export interface RegistryRequest {
  method: string;
  /** With the query, e.g. `/v2/busybox/manifests/latest`. */
  path: string;
  status: number;
}

/** An entry of the registry's access log, in Apache's combined format: `… "GET /v2/ HTTP/1.1" 200 2 …`. */
const ENTRY = /^\S+ - .*?\] "([A-Z]+) (\S+) HTTP\/[\d.]+" (\d{3}) /;

/** Reads a registry's output and keeps what it says of requests. */
export class RequestLog {
  #requests: RegistryRequest[] = [];
  #unfinished = '';

  write(chunk: Buffer): void {
    const lines = (this.#unfinished + chunk).split('\n');
    this.#unfinished = lines.pop() ?? '';
    for (const line of lines) {
      const [, method = '', path = '', status] = ENTRY.exec(line) ?? [];
      if (status !== undefined) this.#requests.push({ method, path, status: Number(status) });
    }
  }

  all(): readonly RegistryRequest[] {
    return [...this.#requests];
  }

  clear(): void {
    this.#requests = [];
  }
}
