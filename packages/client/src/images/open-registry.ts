import {
  type CredentialSource,
  RegistryClient,
  RegistryPusher,
  RegistryTransport,
} from '@longshore/registry';

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

/** A registry for one transfer of one caller: connections, credentials and tokens end with it. */
export function openRegistry(
  host: string,
  { credentials, hosts }: RegistryOptions,
): AsyncDisposable & { client: RegistryClient; pusher: RegistryPusher } {
  const { plainHttp = false, ca, headers = {} } = hostOf(hosts, host);
  const transport = new RegistryTransport(ca === undefined ? {} : { ca });
  const access = { credentials, plainHttp, headers };
  return {
    client: new RegistryClient(transport, host, access),
    pusher: new RegistryPusher(transport, host, access),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

export function hostOf(hosts: RegistryHosts | undefined, host: string): RegistryHost {
  return (hosts && Object.hasOwn(hosts, host) && hosts[host]) || {};
}
