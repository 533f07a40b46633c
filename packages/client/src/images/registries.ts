import { type CredentialSource, RegistryClient, RegistryTransport } from '@longshore/registry';

/** How one registry is reached. */
export interface RegistryHost {
  /** Loopback is always reached over HTTP, others over HTTPS unless this is set. */
  plainHttp?: boolean | undefined;
  /** Certificate authorities in PEM, beside those that Node knows. */
  ca?: string | undefined;
  /** Sent with every request to it. */
  headers?: Readonly<Record<string, string>> | undefined;
}

/** By host as in references, `host` or `host:port`. */
export type RegistryHosts = Readonly<Record<string, RegistryHost>>;

export interface RegistryOptions {
  /** Asked once a registry wants to know who calls. */
  credentials?: CredentialSource | undefined;
  hosts?: RegistryHosts | undefined;
}

/** The connections of one client to registries. */
export class Registries implements AsyncDisposable {
  /** By their certificate authorities. */
  readonly #transports = new Map<string, RegistryTransport>();

  /** For one caller's transfer: credentials and tokens are not kept beyond it. */
  client(host: string, { credentials, hosts }: RegistryOptions): RegistryClient {
    const { plainHttp = false, ca = '', headers = {} } = (hosts && own(hosts, host)) ?? {};
    return new RegistryClient(this.#transport(ca), host, { credentials, plainHttp, headers });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#transports.values()].map((transport) => transport.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #transport(ca: string): RegistryTransport {
    const known = this.#transports.get(ca);
    if (known) return known;
    const made = new RegistryTransport(ca === '' ? {} : { ca });
    this.#transports.set(ca, made);
    return made;
  }
}

function own(hosts: RegistryHosts, host: string): RegistryHost | undefined {
  return Object.hasOwn(hosts, host) ? hosts[host] : undefined;
}
